//! CSV: a header row, then a session a row; attributes as a JSON object in one column, which keeps their types.

use super::encoder::Encoder;
use super::fields::{PropertyTexts, instant, seconds};
use super::output::Output;
use crate::model::Session;

const HEADER: &str = "app_id,session_id,started_at,duration,user_id,device_id,platform,os_version,app_version,device_model,country,language,attributes\n";

/// See the module.
#[derive(Default)]
pub(super) struct Csv {
    text: String,
}

impl Encoder for Csv {
    fn begin(&mut self, output: &mut Output) -> anyhow::Result<()> {
        output.put(HEADER.as_bytes())
    }

    fn write(&mut self, sessions: &[Session], output: &mut Output) -> anyhow::Result<()> {
        self.text.clear();
        for session in sessions {
            row(&mut self.text, session)?;
        }
        output.put(self.text.as_bytes())
    }

    fn finish(&mut self, _: &mut Output) -> anyhow::Result<()> {
        Ok(())
    }
}

fn row(text: &mut String, session: &Session) -> anyhow::Result<()> {
    let properties = PropertyTexts::of(session)?;
    let duration = session.duration().map(seconds);
    let cells = [
        Some(&*session.app().to_string()),
        Some(session.session_id()),
        Some(&*instant(session.started_at())?),
        duration.as_deref(),
        session.user_id(),
        session.device_id(),
    ];
    for (index, cell) in cells.into_iter().chain(properties.list()).enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(text, cell.unwrap_or_default());
    }
    text.push('\n');
    Ok(())
}

fn push(text: &mut String, cell: &str) {
    if !cell.contains(['"', ',', '\r', '\n']) {
        text.push_str(cell);
        return;
    }
    text.push('"');
    for part in cell.split_inclusive('"') {
        text.push_str(part);
        if part.ends_with('"') {
            text.push('"');
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (cell, written) in [
            ("", ""),
            ("a b", "a b"),
            ("a,b", "\"a,b\""),
            ("\"", "\"\"\"\""),
            ("{\"a\":\"b\"}", "\"{\"\"a\"\":\"\"b\"\"}\""),
            ("a\nb", "\"a\nb\""),
        ] {
            let mut text = String::new();
            push(&mut text, cell);
            assert_eq!(text, written);
        }
    }
}
