//! Why a change of the catalog is refused.

/// What keeps a change from being made. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something has this id. It may belong to another workspace, so this does not say what has it.
    #[error("the id {0} is taken already; ids are unique on the whole server")]
    IdTaken(String),
    /// Something else of its kind has this name.
    #[error("there is {} {noun} named '{name}' already; names are unique", article(noun))]
    NameTaken {
        /// The kind.
        noun: &'static str,
        /// The name.
        name: String,
    },
    /// What the change refers to does not exist.
    #[error("unknown {noun} {id}")]
    Unknown {
        /// What it should be.
        noun: &'static str,
        /// Its id.
        id: String,
    },
    /// The workspace has as many tracked segments as its limit allows.
    #[error(
        "analytics tracking is on for {tracked} segments of this workspace, and its limit is {limit}; turn it off for one with \
         'sessionmeter segment untrack', or raise the limit with 'sessionmeter workspace set-segment-limit' (0 is no limit)"
    )]
    TooManyTracked {
        /// Segments that are tracked.
        tracked: usize,
        /// The workspace's limit.
        limit: u32,
    },
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}
