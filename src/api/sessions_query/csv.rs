//! An answer as CSV: a line for each unit and group.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::rows::each;
use crate::count::{Answer, GroupKey, GroupValue};

/// What stands for all groups that have no line of their own.
const OTHERS: &str = "(others)";

/// `time`, `group` where there are groups, and the number, which is called `metric`.
pub fn body(answer: &Answer, metric: &str) -> Vec<u8> {
    let is_grouped = answer.groups.iter().all(|group| group.key != GroupKey::Everyone);
    let mut text = String::from("time");
    if is_grouped {
        text.push_str(",group");
    }
    // Writing to a String can't fail.
    let _ = writeln!(text, ",{metric}");
    for (label, group, count) in each(answer) {
        let _ = write!(text, "{label}");
        if is_grouped {
            let _ = write!(text, ",{}", field(&name(&group.key)));
        }
        let _ = writeln!(text, ",{count}");
    }
    text.into_bytes()
}

/// A group's name; a missing value has none.
pub fn name(key: &GroupKey) -> Cow<'_, str> {
    match key {
        GroupKey::Everyone | GroupKey::Value(None) => Cow::Borrowed(""),
        GroupKey::Others => Cow::Borrowed(OTHERS),
        GroupKey::App(id) => id.to_string().into(),
        GroupKey::Segment(id) => id.to_string().into(),
        GroupKey::Value(Some(GroupValue::Bool(flag))) => flag.to_string().into(),
        GroupKey::Value(Some(GroupValue::Integer(integer))) => integer.to_string().into(),
        GroupKey::Value(Some(GroupValue::Fraction(fraction))) => fraction.0.to_string().into(),
        GroupKey::Value(Some(GroupValue::Text(text))) => harmless(text),
    }
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}").into()
    } else {
        Cow::Borrowed(text)
    }
}

/// A field, in quotation marks where it has to be.
fn field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_a_text() {
        for (text, written) in [
            ("BR", "BR"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("'quoted", "'quoted"),
            ("\t=1", "'\t=1"),
            ("\n=1", "\"'\n=1\""),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            let key = GroupKey::Value(Some(GroupValue::Text(text.into())));
            assert_eq!(field(&name(&key)), written);
        }
        let number = GroupKey::Value(Some(GroupValue::Integer(-5)));
        assert_eq!(name(&number), "-5");
    }
}
