//! Secrets that are only kept as hashes: of links, of whoever is signed in, of shares; and what forms carry against forgery.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::model::KeyHash;
use crate::store::StoreError;

const BYTES: usize = 32;
/// Characters of a token.
const LENGTH: usize = 43;

/// 256 random bits as 43 characters that an address may have.
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, StoreError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::<BYTES>()?)))
    }

    /// What has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == LENGTH && text.bytes().all(fits)).then(|| Self(text.to_owned()))
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.as_bytes())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What forms of whoever has this token carry. It looks different each time, so that nothing can be guessed of it from
    /// how well a page compresses.
    ///
    /// # Errors
    /// As [`Token::generate`].
    pub(super) fn form_token(&self) -> Result<String, StoreError> {
        let pad = random::<BYTES>()?;
        let masked: Vec<u8> = pad
            .iter()
            .zip(self.form_secret())
            .map(|(pad, byte)| pad ^ byte)
            .collect();
        Ok(URL_SAFE_NO_PAD.encode([pad.as_slice(), &masked].concat()))
    }

    /// Whether a form was made for whoever has this token.
    pub(super) fn made(&self, form_token: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(form_token) else {
            return false;
        };
        let Some((pad, masked)) = bytes.split_at_checked(BYTES) else {
            return false;
        };
        let secret: Vec<u8> = pad.iter().zip(masked).map(|(pad, byte)| pad ^ byte).collect();
        masked.len() == BYTES && bool::from(secret.ct_eq(&self.form_secret()))
    }

    fn form_secret(&self) -> [u8; BYTES] {
        Sha256::digest(format!("form {}", self.0)).into()
    }
}

/// Bytes that nobody can foresee.
///
/// # Errors
/// When the operating system gives none.
pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], StoreError> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Unavailable(format!("there are no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_of_one_token_and_never_looks_the_same() {
        let (one, other) = (Token::generate().unwrap(), Token::generate().unwrap());
        let forms = [one.form_token().unwrap(), one.form_token().unwrap()];
        assert_ne!(forms[0], forms[1]);
        for form in &forms {
            assert!(one.made(form) && !other.made(form));
            assert!(!form.contains(one.reveal()));
        }
        for broken in ["", "x", &forms[0][..85], &format!("{}A", forms[0]), one.reveal()] {
            assert!(!one.made(broken), "{broken}");
        }
    }

    #[test]
    fn only_what_looks_like_a_token_is_read_as_one() {
        let token = Token::generate().unwrap();
        assert_eq!(Token::parse(token.reveal()).unwrap().hash(), token.hash());
        for text in [
            "",
            "a",
            &"é".repeat(43),
            &"a".repeat(44),
            &format!("{}=", "a".repeat(42)),
        ] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
