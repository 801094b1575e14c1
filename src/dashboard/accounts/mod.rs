//! Accounts: people with a name, a password and a role.
//!
//! `kept` is what is kept of one, `password` how passwords are hashed and compared, `hasher` how many at one time, `attempts`
//! how often somebody may try, `sign_in` the form that lets people in, and `own` the page on which they see their sessions.

mod attempts;
mod hasher;
mod kept;
mod own;
mod password;
mod sign_in;

use axum::Router;
use axum::routing::{get, post};

pub(super) use self::attempts::Attempts;
pub(super) use self::hasher::Hasher;
pub(super) use self::kept::Mark;
pub use self::kept::{Account, Rights, SaveError, add, find, list, remove, set_password};
pub use self::password::{Password, PasswordError};
pub(super) use self::sign_in::{SIGN_IN, form as sign_in_form};
use super::Dashboard;

/// What somebody who is in may see and change of what is its own.
pub(super) const OWN: &str = "/ui/account";
/// Where its sessions are ended.
pub(super) const OWN_SESSIONS: &str = "/ui/account/sessions";

/// All of these pages.
pub(super) fn routes() -> Router<Dashboard> {
    Router::new()
        .route(SIGN_IN, get(sign_in::page_of).post(sign_in::enter))
        .route(OWN, get(own::page_of).post(own::change_password))
        .route(OWN_SESSIONS, post(own::end))
}
