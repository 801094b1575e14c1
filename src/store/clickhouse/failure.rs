//! What an error of the server means: whether it passes, and what the caller is told.

use crate::store::StoreError;

// Codes of the server, <https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp>.
pub(super) const TOO_FEW_LIVE_REPLICAS: u32 = 285;
pub(super) const UNSATISFIED_QUORUM: u32 = 286;
pub(super) const UNKNOWN_STATUS_OF_INSERT: u32 = 319;
/// The same statement fails again: the user may not, or the tables, the settings or the statement are not what this version
/// knows. Whatever else a server says passes, as far as anybody can tell: it is ending, beginning, cut off from the others,
/// full, or a connection between two servers broke in the middle of an answer. Whoever hears that it passes comes again, and
/// loses nothing.
const LASTING: [u32; 35] = [
    8, 9, 10, 15, 16, 20, 36, 41, 42, 43, 44, 46, 47, 48, 50, 53, 57, 60, 62, 63, 80, 81, 115, 164, 170, 192,
    193, 194, 195, 291, 344, 392, 497, 516, 701,
];

/// What kept one attempt from succeeding.
pub(super) enum Failure {
    /// Of the server, with its code.
    Server(u32, String),
    /// There is no answer.
    Silent(String),
}

impl Failure {
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Server(code, _) => !LASTING.contains(code),
        }
    }

    pub(super) fn cause(&self) -> String {
        match self {
            Self::Server(_, said) | Self::Silent(said) => said.clone(),
        }
    }

    pub(super) fn code(&self) -> u32 {
        match self {
            Self::Server(code, _) => *code,
            Self::Silent(_) => 0,
        }
    }
}

impl From<clickhouse::error::Error> for Failure {
    fn from(error: clickhouse::error::Error) -> Self {
        match error {
            clickhouse::error::Error::BadResponse(text) => match code(&text) {
                Some(code) => Self::Server(code, said(&text)),
                None => Self::Silent(said(&text)),
            },
            clickhouse::error::Error::Network(cause) => Self::Silent(root(cause.as_ref())),
            clickhouse::error::Error::TimedOut => Self::Silent("it took too long".into()),
            // An answer that was cut can't be read.
            other => Self::Silent(other.to_string()),
        }
    }
}

/// What an error is about in the end: that a connection was refused, and not that there was an error.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let passes = failure.passes();
        match failure {
            Failure::Silent(why) => Self::Unavailable(format!("ClickHouse does not answer: {why}")),
            Failure::Server(_, said) if passes => Self::Unavailable(format!("ClickHouse: {said}")),
            Failure::Server(_, said) => Self::Unusable(format!("ClickHouse: {said}")),
        }
    }
}

/// Rows end, or go on, as they can't.
pub(super) fn broken_off() -> StoreError {
    StoreError::Unavailable("ClickHouse broke off its answer".into())
}

/// The number after `Code: `.
fn code(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("Code: ")?;
    let digits = rest
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// A server's message in one line without its ornaments, cut.
fn said(text: &str) -> String {
    let text = text.split_once("DB::Exception: ").map_or(text, |(_, said)| said);
    let text = text.split(", e.what() =").next().unwrap_or(text);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_old_and_new_servers_are_read() {
        let old = "Code: 286, e.displayText() = DB::Exception: Another quorum insert has been already started\n, e.what() = DB::Exception";
        assert_eq!(code(old), Some(286));
        assert_eq!(said(old), "Another quorum insert has been already started");
        let new = "Code: 60. DB::Exception: Table x.y does not exist. (UNKNOWN_TABLE) (version 26.1)";
        assert_eq!(code(new), Some(60));
        assert_eq!(
            said(new),
            "Table x.y does not exist. (UNKNOWN_TABLE) (version 26.1)"
        );
        assert_eq!(code("502 Bad Gateway"), None);
    }

    #[test]
    fn what_is_not_known_to_last_passes() {
        let passes = |text: &str| Failure::from(clickhouse::error::Error::BadResponse(text.into())).passes();
        assert!(passes(
            "Code: 32, e.displayText() = DB::Exception: Attempt to read after eof: , e.what()"
        ));
        assert!(passes("502 Bad Gateway"));
        assert!(Failure::from(clickhouse::error::Error::NotEnoughData).passes());
        assert!(!passes("Code: 516. DB::Exception: Authentication failed"));
        assert!(!passes("Code: 60. DB::Exception: Table x.y does not exist."));
    }
}
