//! Names that people give to workspaces, apps and keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text can't be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than 100 characters.
    #[error("a name has 1 to 100 characters, this one has {0}")]
    Length(usize),
    /// A control character, or white space at an end: nobody could type it again.
    #[error("a name has no control characters and no white space at its ends")]
    Characters,
    /// Commands take a name or an id, so one must not look like the other.
    #[error("a name must not look like an id; give the id with --id")]
    LooksLikeAnId,
}

/// 1 to 100 characters, no control characters, not shaped like a UUID.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let length = text.chars().count();
        if !(1..=100).contains(&length) {
            return Err(NameError::Length(length));
        }
        if text.chars().any(char::is_control) || text.trim() != text {
            return Err(NameError::Characters);
        }
        if uuid::Uuid::try_parse(&text).is_ok() {
            return Err(NameError::LooksLikeAnId);
        }
        Ok(Self(text))
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.to_owned().try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_not_be_used_again_are_refused() {
        assert_eq!("".parse::<Name>(), Err(NameError::Length(0)));
        assert_eq!("x".repeat(101).parse::<Name>(), Err(NameError::Length(101)));
        assert_eq!("a\nb".parse::<Name>(), Err(NameError::Characters));
        assert_eq!(" a".parse::<Name>(), Err(NameError::Characters));
        assert_eq!(
            "00dc3cf6-1763-5d5b-8264-db458aa346c3".parse::<Name>(),
            Err(NameError::LooksLikeAnId)
        );
        assert_eq!("Café – iOS".parse::<Name>().unwrap().as_str(), "Café – iOS");
    }
}
