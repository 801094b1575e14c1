//! An app: one installable product on one platform.

use super::{AppId, Name};

/// One installable product on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Unique on the server, public.
    pub id: AppId,
    /// Unique within its workspace.
    pub name: Name,
    /// Free text such as `ios`, `android` or `web`; empty where nobody said.
    pub platform: String,
}

/// What is needed to create an app.
pub type NewApp = App;
