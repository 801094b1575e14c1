//! Forgetting users and devices: their sessions stay, and go on to be one person's, whom nobody can name any more.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::interning::IdentityKind;
use crate::model::{self, Identities};
use crate::store::StoreError;

/// What is true of a combination of attributes that no user has.
const UNUSED: &str = "ordinal NOT IN (SELECT attributes FROM identities WHERE attributes IS NOT NULL)";
/// Combinations that one transaction removes.
const SETS: u32 = 10_000;

/// Takes the names and attributes of those who are known; how many they are. Whoever remembers identities must forget them.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    workspace: i64,
    people: &Identities,
) -> Result<u64, StoreError> {
    let (kind, forgotten) = match people.kind() {
        model::IdentityKind::User => (IdentityKind::User, IdentityKind::ForgottenUser),
        model::IdentityKind::Device => (IdentityKind::Device, IdentityKind::ForgottenDevice),
    };
    let mut find = transaction.prepare_cached(
        "SELECT ordinal, attributes FROM identities WHERE workspace = ?1 AND kind = ?2 AND value = ?3",
    )?;
    let mut rename = transaction.prepare_cached(
        "UPDATE identities SET kind = ?2, value = ?3, attributes = NULL, seen = 1 WHERE ordinal = ?1",
    )?;
    let (mut known, mut sets) = (0, Vec::<String>::new());
    for id in people.ids() {
        let found: Option<(i64, Option<u32>)> = find
            .query_row(params![workspace, kind as i64, id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((ordinal, attributes)) = found else {
            continue;
        };
        rename.execute(params![ordinal, forgotten as i64, number()?.to_string()])?;
        known += 1;
        sets.extend(attributes.map(|set| set.to_string()));
    }
    if !sets.is_empty() {
        let theirs = format!("ordinal IN ({})", sets.join(", "));
        transaction.execute(
            &format!("DELETE FROM attribute_sets WHERE {theirs} AND {UNUSED}"),
            [],
        )?;
    }
    Ok(known)
}

/// Whether there are combinations of attributes that no user has any more.
pub(super) fn has_unused_attributes(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT 1 FROM attribute_sets WHERE {UNUSED}"))?;
    Ok(statement.exists([])?)
}

/// Removes some of them. Whoever remembers combinations by number must forget them.
pub(super) fn remove_unused_attributes(connection: &Connection) -> Result<(), StoreError> {
    let unused = format!("SELECT ordinal FROM attribute_sets WHERE {UNUSED} LIMIT {SETS}");
    connection.execute(
        &format!("DELETE FROM attribute_sets WHERE ordinal IN ({unused})"),
        [],
    )?;
    Ok(())
}

/// What stands for somebody who was forgotten.
fn number() -> Result<u64, StoreError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("there is no randomness: {error}")))?;
    Ok(u64::from_le_bytes(bytes).max(1))
}
