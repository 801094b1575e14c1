//! Users' attributes: what later sessions of a user carry.

use std::collections::HashMap;

use rusqlite::Transaction;

use super::interning::{IdentityKind, Interned, Interner};
use crate::model::UserUpdate;
use crate::store::{StoreError, Updated};

/// Applies updates in their order; what would give a user too many attributes changes nothing.
pub(super) fn update(
    transaction: &Transaction<'_>,
    interned: &mut Interned,
    workspace: i64,
    updates: &[UserUpdate],
) -> Result<Vec<Updated>, StoreError> {
    let mut interner = Interner::new(transaction, interned)?;
    let mut current = HashMap::new();
    let mut outcomes = Vec::with_capacity(updates.len());
    for update in updates {
        let key = (workspace, IdentityKind::User, update.user_id());
        let identity = interner.identity(key)?;
        let attributes = match current.remove(&identity.ordinal) {
            Some(attributes) => attributes,
            None => interner.attributes(identity.attributes)?,
        };
        let updated = attributes.updated(update);
        outcomes.push(match &updated {
            Some(_) => Updated::Done,
            None => Updated::TooMany,
        });
        if let Some(changed) = updated.as_ref().filter(|updated| **updated != attributes) {
            interner.set_attributes(key, identity, changed)?;
        }
        current.insert(identity.ordinal, updated.unwrap_or(attributes));
    }
    Ok(outcomes)
}
