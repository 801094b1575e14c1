//! An app: one installable product on one platform.

use super::{AppId, Name, is_invisible};

const MAX_PLATFORM_BYTES: usize = 64;

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

/// What an app runs on: free text such as `ios`.
///
/// # Errors
/// Says what would be right.
pub fn platform(text: &str) -> Result<String, String> {
    if text.len() > MAX_PLATFORM_BYTES || text.chars().any(is_invisible) {
        return Err(format!(
            "a platform has at most {MAX_PLATFORM_BYTES} bytes, of characters that can be seen"
        ));
    }
    Ok(text.to_owned())
}
