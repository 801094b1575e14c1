//! Users and devices by the ids that clients gave them.

/// Ids that one request or command may name.
pub const MAX_IDENTITIES: usize = 50;
/// Longest id of a user or device.
pub const MAX_IDENTITY_BYTES: usize = 256;

/// What kind of id names somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// The `user_id` of sessions.
    User,
    /// Their `device_id`.
    Device,
}

/// Why ids are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentitiesError {
    /// None, or too many.
    #[error("give 1 to {MAX_IDENTITIES} ids, received {0}")]
    Count(usize),
    /// Empty or too long.
    #[error("id number {place} must have 1 to {MAX_IDENTITY_BYTES} bytes, received {bytes}")]
    Length {
        /// From 1.
        place: usize,
        /// Its length.
        bytes: usize,
    },
}

/// Ids of one kind, each once. Values that exist are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    kind: IdentityKind,
    ids: Vec<Box<str>>,
}

impl Identities {
    /// Checks how many there are and each id's length.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn new<'a>(
        kind: IdentityKind,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IdentitiesError> {
        let mut ids: Vec<Box<str>> = ids.into_iter().map(Into::into).collect();
        if !(1..=MAX_IDENTITIES).contains(&ids.len()) {
            return Err(IdentitiesError::Count(ids.len()));
        }
        for (place, id) in (1..).zip(&ids) {
            if !(1..=MAX_IDENTITY_BYTES).contains(&id.len()) {
                return Err(IdentitiesError::Length {
                    place,
                    bytes: id.len(),
                });
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Self { kind, ids })
    }

    /// Their kind.
    pub fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// In their order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &str> {
        self.ids.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_fifty_ids_each_once() {
        let new = |ids: &[&str]| Identities::new(IdentityKind::User, ids.iter().copied());
        let twice = new(&["b", "a", "b"]).unwrap();
        assert_eq!(twice.ids().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(new(&[]), Err(IdentitiesError::Count(0)));
        assert_eq!(new(&["a"; 51]), Err(IdentitiesError::Count(51)));
        let long = "x".repeat(257);
        assert_eq!(
            new(&["a", &long]),
            Err(IdentitiesError::Length { place: 2, bytes: 257 })
        );
        assert!(new(&["a", ""]).is_err());
    }
}
