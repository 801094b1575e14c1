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
    /// Nobody could see it: two names would look like one, or like another text.
    #[error("a name has only characters that can be seen, this one has the invisible U+{:04X}", u32::from(*.0))]
    Invisible(char),
    /// Commands take a name or an id, so one must not look like the other.
    #[error("a name must not look like an id; give the id with --id")]
    LooksLikeAnId,
}

/// 1 to 100 characters that can all be seen, not shaped like a UUID.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that a store has. It may be older than the rule about what can be seen, and is no reason not to open the
    /// store.
    ///
    /// # Errors
    /// As parsing, but for that rule.
    pub fn stored(text: String) -> Result<Self, NameError> {
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

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let name = Self::stored(text)?;
        match first_invisible(&name.0) {
            Some(character) => Err(NameError::Invisible(character)),
            None => Ok(name),
        }
    }
}

/// The first character that can't be seen where it stands. What joins or varies symbols, as in emoji, may stay there.
fn first_invisible(text: &str) -> Option<char> {
    let is_symbol = |character: char| !character.is_ascii() && !character.is_alphanumeric();
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after_symbol = before.is_some_and(is_symbol);
        let before_symbol = characters.peek().copied().is_some_and(is_symbol);
        let joins = match character {
            EMOJI_VARIATION => after_symbol && before != Some(EMOJI_VARIATION),
            JOINER => after_symbol && before_symbol && before != Some(JOINER),
            _ => false,
        };
        // A narrow or unbreakable space looks like the usual one; that of Chinese and Japanese texts does not.
        let is_odd_space = character.is_whitespace() && !matches!(character, ' ' | '\u{3000}');
        if (is_invisible(character) && !joins) || is_odd_space {
            return Some(character);
        }
        before = Some(character);
    }
    None
}

const JOINER: char = '\u{200D}';
const EMOJI_VARIATION: char = '\u{FE0F}';

/// Whether a character shows nothing, or changes how its neighbours are shown: control characters, the invisible ones
/// and those that turn the direction of text (Unicode's category Cc, its default ignorable code
/// points, and what is blank besides white space).
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
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

    #[test]
    fn what_can_not_be_seen_is_refused_but_a_store_may_have_it() {
        for (text, invisible) in [
            ("Sh\u{200B}op", '\u{200B}'),
            ("Sh\u{202E}op", '\u{202E}'),
            ("Sh\u{2066}op", '\u{2066}'),
            ("Shop\u{FE0F}", '\u{FE0F}'),
            ("Sh\u{200D}op", '\u{200D}'),
            ("\u{FEFF}Shop", '\u{FEFF}'),
            ("\u{2764}\u{FE0F}\u{FE0F}", '\u{FE0F}'),
            ("\u{2800}", '\u{2800}'),
            ("my\u{A0}shop", '\u{A0}'),
            ("my\u{2009}shop", '\u{2009}'),
        ] {
            assert_eq!(
                text.parse::<Name>(),
                Err(NameError::Invisible(invisible)),
                "{text:?}"
            );
            assert!(Name::stored(text.to_owned()).is_ok());
        }
        let message = "Sh\u{202E}op".parse::<Name>().unwrap_err().to_string();
        assert!(message.ends_with("the invisible U+202E"), "{message}");
        for text in [
            "I \u{2764}\u{FE0F} it",
            "\u{1F469}\u{200D}\u{1F680}",
            "東京",
            "東京\u{3000}店",
            "my shop",
            "मेरा",
            "Ελλάδα",
        ] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
        assert_eq!(Name::stored("a\u{1B}".to_owned()), Err(NameError::Characters));
    }
}
