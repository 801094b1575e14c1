//! What a store promises, in the words of the contract; engines live in rooms of their own.
//!
//! [`Sessions`] are the truth, [`Rollups`] are counted from them, [`Administration`] is everything else. What is derived can be
//! counted again from the sessions, and [`Administration::verify`] does exactly that.

pub mod access;
mod administration;
pub mod clickhouse;
pub mod copy;
mod error;
pub mod imports;
pub mod new_file;
mod place;
mod published;
mod recent;
pub mod records;
mod rollups;
pub mod sealed;
mod sessions;
pub mod sqlite;
mod upkeep;
mod verification;

pub use administration::{Administration, Progress, Sealing, Usage};
pub use error::StoreError;
pub use place::{Place, shell_word};
pub use rollups::{DayVersion, Rollups, Scope, Users, Version, Whose, all_time, count_patiently};
pub use sessions::{Recorded, Selection, Sessions, Updated};
pub use upkeep::seal_due_days;
pub use verification::{Mismatch, Verification};

pub use crate::catalog::{Catalog, WorkspaceEntry};
use crate::model::Millis;

/// What the process is going to do with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Serve it: an embedded store has one server at a time.
    Server,
    /// Run a command, also beside a server. Where there is no store yet, one is made.
    Command,
    /// Run a command that needs an existing store.
    Existing,
}

/// The target of log messages that say something about the store to whoever runs a command.
pub const NOTICES: &str = "sessionmeter::store::notice";

/// A place for workspaces, apps, keys, segments and sessions: the sum of four interfaces. Whoever needs one of them takes that.
///
/// Any number of processes may use the same store. What one of them changed, the others see within one second.
pub trait Store: Sessions + Rollups + Administration + access::Access {}

impl<S: Sessions + Rollups + Administration + access::Access> Store for S {}

/// What this machine's clock says, in Unix milliseconds.
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}
