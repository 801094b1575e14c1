//! Passwords: which there may be, and what is kept of them (argon2id).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::dashboard::token::random;
use crate::store::StoreError;

/// Characters that a password has at least.
const SHORTEST: usize = 8;
/// Bytes that it has at most.
const LONGEST: usize = 256;
/// KiB of memory that hashing takes.
const MEMORY: u32 = 19 * 1024;
/// How often hashing goes over it.
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What a row may ask for: more would be a way to exhaust the server.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 8;
const MOST_LANES: u32 = 4;
const SALT: usize = 16;
const HASH: usize = 32;

/// A password that an account may have. It is nowhere shown.
pub struct Password(String);

/// Why a text can't be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It would be guessed.
    #[error("a password has at least {SHORTEST} characters, this one has {0}")]
    Short(usize),
    /// Hashing it would take too long.
    #[error("a password has at most {LONGEST} bytes, this one has {0}")]
    Long(usize),
}

impl Password {
    /// What somebody chose.
    ///
    /// # Errors
    /// When it has fewer than 8 characters or more than 256 bytes.
    pub fn new(text: String) -> Result<Self, PasswordError> {
        let characters = text.chars().count();
        if characters < SHORTEST {
            return Err(PasswordError::Short(characters));
        }
        Self::typed(text)
    }

    /// What somebody typed who wants to get in. It may be shorter: then it is just wrong.
    pub(super) fn typed(text: String) -> Result<Self, PasswordError> {
        if text.len() > LONGEST {
            return Err(PasswordError::Long(text.len()));
        }
        Ok(Self(text))
    }
}

/// What is kept of a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hashed {
    /// KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
    /// In Base64.
    salt: String,
    /// Likewise.
    hash: String,
}

impl Hashed {
    /// Of a new password. This takes 19 MiB and some tens of milliseconds.
    pub(super) fn of(password: &Password, memory: &mut Vec<Block>) -> Result<Self, StoreError> {
        let mut hashed = Self::blank()?;
        let salt = random::<SALT>()?;
        hashed.salt = STANDARD_NO_PAD.encode(salt);
        let hash = hash(password, &salt, hashed.params(), memory)
            .ok_or_else(|| StoreError::Unavailable("the password can't be hashed".to_owned()))?;
        hashed.hash = STANDARD_NO_PAD.encode(hash);
        Ok(hashed)
    }

    /// What no password has. Comparing with it takes as long as with any other.
    pub(super) fn blank() -> Result<Self, StoreError> {
        Ok(Self {
            memory: MEMORY,
            passes: PASSES,
            lanes: LANES,
            salt: STANDARD_NO_PAD.encode(random::<SALT>()?),
            hash: STANDARD_NO_PAD.encode(random::<HASH>()?),
        })
    }

    /// Whether it is of this password. A row that asks for more than hashing may take is of none.
    pub(super) fn is_of(&self, password: &Password, memory: &mut Vec<Block>) -> bool {
        let kept = STANDARD_NO_PAD.decode(&self.hash);
        let salt = STANDARD_NO_PAD.decode(&self.salt);
        let (Ok(kept), Ok(salt)) = (kept, salt) else {
            return false;
        };
        let hash = hash(password, &salt, self.params(), memory);
        hash.is_some_and(|hash| bool::from(hash.as_slice().ct_eq(&kept)))
    }

    fn params(&self) -> Option<Params> {
        let is_bearable =
            self.memory <= MOST_MEMORY && self.passes <= MOST_PASSES && self.lanes <= MOST_LANES;
        let params = Params::new(self.memory, self.passes, self.lanes, Some(HASH));
        params.ok().filter(|_| is_bearable)
    }
}

fn hash(
    password: &Password,
    salt: &[u8],
    params: Option<Params>,
    memory: &mut Vec<Block>,
) -> Option<[u8; HASH]> {
    let params = params?;
    memory.resize(params.block_count(), Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut hash = [0; HASH];
    let hashed = argon2.hash_password_into_with_memory(password.0.as_bytes(), salt, &mut hash, memory);
    hashed.ok().map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[test]
    fn only_the_password_fits_whatever_the_memory_had_before() {
        let mut memory = Vec::new();
        let hashed = Hashed::of(&password("correct horse"), &mut memory).unwrap();
        for _ in 0..2 {
            assert!(hashed.is_of(&password("correct horse"), &mut memory));
            assert!(!hashed.is_of(&password("Correct horse"), &mut memory));
        }
        assert!(hashed.is_of(&password("correct horse"), &mut Vec::new()));
        let again = Hashed::of(&password("correct horse"), &mut memory).unwrap();
        assert_ne!(hashed.hash, again.hash, "each has a salt of its own");
        let blank = Hashed::blank().unwrap();
        assert!(!blank.is_of(&password("correct horse"), &mut memory));
        assert_eq!((blank.memory, blank.passes), (hashed.memory, hashed.passes));
    }

    #[test]
    fn the_hash_is_argon2id_as_others_compute_it() {
        // From the test vectors of the reference implementation, with its salt "somesalt".
        let params = Params::new(256, 2, 1, Some(HASH)).ok();
        let hash = hash(
            &Password("password".to_owned()),
            b"somesalt",
            params,
            &mut Vec::new(),
        );
        let digits: String = hash.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            digits,
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"
        );
    }

    #[test]
    fn a_row_that_asks_for_too_much_is_of_no_password() {
        let mut memory = Vec::new();
        let hashed = Hashed::of(&password("correct horse"), &mut memory).unwrap();
        type Spoil = fn(&mut Hashed);
        let spoils: [Spoil; 5] = [
            |row| row.memory = MOST_MEMORY + 1,
            |row| row.passes = MOST_PASSES + 1,
            |row| row.lanes = MOST_LANES + 1,
            |row| row.salt = "?".to_owned(),
            |row| row.hash.clear(),
        ];
        for spoil in spoils {
            let mut spoiled = hashed.clone();
            spoil(&mut spoiled);
            assert!(
                !spoiled.is_of(&password("correct horse"), &mut memory),
                "{spoiled:?}"
            );
        }
    }

    #[test]
    fn passwords_have_a_length() {
        let new = |text: &str| Password::new(text.to_owned()).err();
        assert_eq!(new("sieben7"), Some(PasswordError::Short(7)));
        assert_eq!(new("ññññññññ"), None);
        assert_eq!(new(&"x".repeat(256)), None);
        assert_eq!(new(&"ñ".repeat(129)), Some(PasswordError::Long(258)));
    }
}
