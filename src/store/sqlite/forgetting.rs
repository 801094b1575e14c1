//! Forgetting users and devices: their sessions stay, and go on to be one person's, whom nobody can name any more.

use rusqlite::{Connection, Transaction, params};

use super::interning::{IdentityKind, Interned, Interner};
use crate::model::{self, Identities};
use crate::store::StoreError;

/// What is true of a combination of attributes that no user has.
const UNUSED: &str = "ordinal NOT IN (SELECT attributes FROM identities WHERE attributes IS NOT NULL)";
/// Combinations that one transaction removes.
const SETS: u32 = 10_000;

/// Takes the names and attributes of those who are known; how many they are. Nothing that was remembered holds any more.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    interned: &mut Interned,
    workspace: i64,
    people: &Identities,
) -> Result<u64, StoreError> {
    interned.forget();
    let (kind, forgotten) = match people.kind() {
        model::IdentityKind::User => (IdentityKind::User, IdentityKind::ForgottenUser),
        model::IdentityKind::Device => (IdentityKind::Device, IdentityKind::ForgottenDevice),
    };
    let mut interner = Interner::new(transaction, interned)?;
    let mut rename = transaction.prepare_cached(
        "UPDATE identities SET kind = ?2, value = ?3, attributes = NULL, seen = 1 WHERE ordinal = ?1",
    )?;
    let (mut count, mut sets) = (0, Vec::<String>::new());
    for id in people.ids() {
        let Some(known) = interner.find((workspace, kind, id))? else {
            continue;
        };
        rename.execute(params![known.ordinal, forgotten as i64, number()?.to_string()])?;
        count += 1;
        sets.extend((known.attributes > 0).then(|| known.attributes.to_string()));
    }
    if !sets.is_empty() {
        let theirs = format!("ordinal IN ({})", sets.join(", "));
        transaction.execute(
            &format!("DELETE FROM attribute_sets WHERE {theirs} AND {UNUSED}"),
            [],
        )?;
    }
    Ok(count)
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
