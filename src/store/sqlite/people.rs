//! Users' attributes: what later sessions of a user carry.

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
    let mut outcomes = Vec::with_capacity(updates.len());
    for update in updates {
        let key = (workspace, IdentityKind::User, update.user_id());
        let identity = interner.identity(key)?;
        let attributes = interner.attributes(identity.attributes)?;
        let Some(updated) = attributes.updated(update) else {
            outcomes.push(Updated::TooMany);
            continue;
        };
        if updated != attributes {
            interner.set_attributes(key, identity, &updated)?;
        }
        outcomes.push(Updated::Done);
    }
    Ok(outcomes)
}
