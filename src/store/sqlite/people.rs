//! Users' attributes: what later sessions of a user carry.

use rusqlite::Transaction;

use super::catalog::Snapshot;
use super::interning::{IdentityKind, Interned, Interner};
use crate::model::{UserAttributes, UserUpdate};
use crate::store::records::UserRecord;
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

/// Takes over what another store knows of users.
pub(super) fn adopt(
    transaction: &Transaction<'_>,
    interned: &mut Interned,
    snapshot: &Snapshot,
    users: &[UserRecord],
) -> Result<(), StoreError> {
    let mut interner = Interner::new(transaction, interned)?;
    for user in users {
        let key = (
            snapshot.workspace(user.workspace)?,
            IdentityKind::User,
            user.user_id.as_str(),
        );
        let identity = interner.identity(key)?;
        interner.set_attributes(
            key,
            identity,
            &UserAttributes::from_stored(user.attributes.clone()),
        )?;
    }
    Ok(())
}
