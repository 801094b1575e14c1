//! Why a request was refused, as its log line may say it: without anything that the client sent.
//!
//! Messages to clients repeat what was received, so that a slip can be seen. A log is read by others and kept for long:
//! there the same words stand without it.

use std::sync::Arc;

use crate::model::{AppId, SessionField};

/// Characters of a reason.
const MAX: usize = 300;
/// What messages put in front of what a client sent: our own words, and those of the JSON reader.
const ECHOES: [&str; 7] = [
    ", received",
    "\"",
    "`",
    "unknown field '",
    "unknown variant '",
    "unknown member '",
    "unknown operator '",
];
/// Members whose names are ours, beside the fields of sessions; other names were chosen by the client.
const OURS: [&str; 12] = [
    "attributes",
    "external_id",
    "events",
    "purchases",
    "sid",
    "did",
    "started",
    "timestamp",
    "session.id",
    "sessionmeter.app.id",
    "timeUnixNano",
    "sessionmeter-app",
];

/// A refusal, beside its body: for protocols that say it in another form, and for the log.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// What the client is told.
    pub message: Arc<str>,
    /// Where each item of a batch was refused, why the first one was.
    pub first_item: Option<Arc<str>>,
    /// The app that is not known, where the message does not say it.
    pub unknown_app: Option<AppId>,
}

impl Refused {
    /// Why the first item was refused, or the whole request.
    pub(super) fn told(&self) -> (String, Option<AppId>) {
        match &self.first_item {
            Some(item) => told(item),
            None => {
                let app = self.unknown_app.or(told(&self.message).1);
                (without_place(without_echoes(&self.message).to_owned()), app)
            }
        }
    }

    /// One line for the log.
    pub(super) fn reason(&self) -> String {
        let message = without_echoes(&self.message);
        match &self.first_item {
            None => message.to_owned(),
            Some(item) => format!("{message}; the first: {}", item_reason(item)),
        }
    }
}

/// What messages say before the id of an app that is not known.
const UNKNOWN_APP: [&str; 3] = [
    "'app_id' must be the id of an app",
    "the header 'sessionmeter-app' must be the id of an app",
    "'sessionmeter.app.id' must be the id of an app",
];

/// Why something was refused, without anything that was sent; and the app, if it is not known and what was sent is an id.
pub(super) fn told(message: &str) -> (String, Option<AppId>) {
    let about_an_app = UNKNOWN_APP.iter().any(|words| message.starts_with(words));
    let received = message.split_once(", received '").filter(|_| about_an_app);
    let app = received.and_then(|(_, received)| received.strip_suffix('\'')?.parse().ok());
    (without_place(item_reason(message)), app)
}

/// A fault is one and the same wherever in a body it stands.
fn without_place(reason: String) -> String {
    match reason.split_once(" at line ") {
        Some((fault, _)) => fault.to_owned(),
        None => reason,
    }
}

/// A message up to what it repeats.
fn without_echoes(message: &str) -> &str {
    let echoed = ECHOES.iter().filter_map(|echo| message.find(echo)).min();
    let too_long = message.char_indices().nth(MAX).map(|(at, _)| at);
    let end = echoed.into_iter().chain(too_long).min();
    let kept = message.get(..end.unwrap_or(message.len())).unwrap_or_default();
    kept.trim_end_matches([' ', ':', ','])
}

/// The same for an item of a batch, whose members have names that the client chose: what stands between the first quote
/// and the last one is kept only if it is one of ours.
fn item_reason(reason: &str) -> String {
    let reason = without_echoes(reason);
    let Some((before, quoted)) = reason.split_once('\'') else {
        return reason.to_owned();
    };
    match quoted.rsplit_once('\'') {
        Some((name, _)) if is_ours(name) => reason.to_owned(),
        Some((_, after)) => format!("{before}'…'{after}"),
        None => format!("{before}…"),
    }
}

fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || SessionField::named(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_left_out() {
        for (message, expected) in [
            (
                "the body is not valid: unknown field 'alice', expected one of 'name'",
                "the body is not valid",
            ),
            (
                "'length' must be an integer from 1 to 100, received 'smk_secret'",
                "'length' must be an integer from 1 to 100",
            ),
            (
                "the body must be a JSON object with an array 'sessions': invalid type: string \"alice\", expected a sequence",
                "the body must be a JSON object with an array 'sessions': invalid type: string",
            ),
            (
                "the body must be a JSON object: invalid type: integer `17`, expected a map",
                "the body must be a JSON object: invalid type: integer",
            ),
            (
                "'length' is required: an integer from 1 to 100",
                "'length' is required: an integer from 1 to 100",
            ),
            ("", ""),
        ] {
            assert_eq!(without_echoes(message), expected);
        }
        assert_eq!(without_echoes(&"é".repeat(300)).chars().count(), MAX);
    }

    #[test]
    fn of_what_was_sent_only_ids_of_unknown_apps_are_told() {
        let id = "00dc3cf6-1763-5d5b-8264-db458aa346c3";
        let app = Some(id.parse().unwrap());
        for (message, reason, told_app) in [
            (
                format!("'app_id' must be the id of an app, received '{id}'"),
                "'app_id' must be the id of an app",
                app,
            ),
            (
                format!("'sessionmeter.app.id' must be the id of an app of this server, received '{id}'"),
                "'sessionmeter.app.id' must be the id of an app of this server",
                app,
            ),
            (
                "'app_id' must be the id of an app, received 'alice'".to_owned(),
                "'app_id' must be the id of an app",
                None,
            ),
            (
                "not a session: EOF while parsing at line 1 column 7".to_owned(),
                "not a session: EOF while parsing",
                None,
            ),
            (
                format!("'user_id' must be a string, received '{id}'"),
                "'user_id' must be a string",
                None,
            ),
        ] {
            assert_eq!(told(&message), (reason.to_owned(), told_app), "{message}");
        }
        let refused = Refused {
            message: format!(
                "the header 'sessionmeter-app' must be the id of an app of this server, received '{id}'"
            )
            .into(),
            first_item: None,
            unknown_app: None,
        };
        let reason = "the header 'sessionmeter-app' must be the id of an app of this server".to_owned();
        assert_eq!(refused.told(), (reason, app));
    }

    #[test]
    fn names_that_the_client_chose_are_left_out_of_items() {
        for (reason, expected) in [
            (
                "'session_id' must be a string, received 5",
                "'session_id' must be a string",
            ),
            ("'alice@example.com' is given twice", "'…' is given twice"),
            (
                "'attributes.alice' must have at most 256 bytes, received 300",
                "'…' must have at most 256 bytes",
            ),
            ("'a' alice 'b' is given twice", "'…' is given twice"),
            ("an attribute's name", "an attribute…"),
        ] {
            assert_eq!(item_reason(reason), expected);
        }
        let refused = Refused {
            message: "every session was refused, nothing was recorded; 'errors' says why".into(),
            first_item: Some("'app_id' must be the id of an app, received 'alice'".into()),
            unknown_app: None,
        };
        assert_eq!(
            refused.reason(),
            "every session was refused, nothing was recorded; 'errors' says why; the first: 'app_id' must be the id of an app"
        );
    }
}
