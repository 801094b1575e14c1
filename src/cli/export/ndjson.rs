//! NDJSON: a session a line, as POST /sessions/track takes it.

use std::fmt::Write as _;

use super::encoder::Encoder;
use super::fields::{instant, seconds};
use super::output::Output;
use crate::model::Session;

/// See the module.
#[derive(Default)]
pub(super) struct Ndjson {
    text: String,
}

impl Encoder for Ndjson {
    fn begin(&mut self, _: &mut Output) -> anyhow::Result<()> {
        Ok(())
    }

    fn write(&mut self, sessions: &[Session], output: &mut Output) -> anyhow::Result<()> {
        self.text.clear();
        for session in sessions {
            line(&mut self.text, session)?;
        }
        output.put(self.text.as_bytes())
    }

    fn finish(&mut self, _: &mut Output) -> anyhow::Result<()> {
        Ok(())
    }
}

fn line(text: &mut String, session: &Session) -> anyhow::Result<()> {
    write!(
        text,
        r#"{{"app_id":"{}","session_id":{},"started_at":"{}""#,
        session.app(),
        serde_json::to_string(session.session_id())?,
        instant(session.started_at())?
    )?;
    if let Some(millis) = session.duration() {
        write!(text, r#","duration":{}"#, seconds(millis))?;
    }
    for (name, value) in [("user_id", session.user_id()), ("device_id", session.device_id())] {
        if let Some(value) = value {
            write!(text, r#","{name}":{}"#, serde_json::to_string(value)?)?;
        }
    }
    // Properties are a JSON object with the names that recording takes.
    let properties = session.properties().as_str();
    match properties.strip_prefix('{') {
        Some("}") | None => text.push('}'),
        Some(members) => {
            text.push(',');
            text.push_str(members);
        }
    }
    text.push('\n');
    Ok(())
}
