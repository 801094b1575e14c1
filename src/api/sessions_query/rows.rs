//! An answer as JSON: a row for each unit and group.

use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};

use crate::count::{Answer, Group, GroupKey, GroupValue};
use crate::series::Label;

/// The endpoint's body; `metric` is what its numbers are called.
pub fn body(answer: &Answer, time_zone: &str, metric: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'static str,
        time_zone: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
        data: Rows<'a>,
    }
    let body = Body {
        message: "success",
        time_zone,
        total: answer.total,
        data: Rows { answer, metric },
    };
    serde_json::to_vec(&body).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        br#"{"message":"internal error"}"#.to_vec()
    })
}

/// Each unit's groups, in the order of the answer: unit, group and number.
pub(super) fn each(answer: &Answer) -> impl Iterator<Item = (Label, &Group, u64)> {
    let labels = answer.window.labels().enumerate();
    labels.flat_map(|(unit, label)| {
        let groups = answer.groups.iter();
        groups.map(move |group| (label, group, group.counts.get(unit).copied().unwrap_or_default()))
    })
}

struct Rows<'a> {
    answer: &'a Answer,
    metric: &'a str,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        for (label, group, count) in each(self.answer) {
            rows.serialize_element(&Row {
                label,
                group,
                count,
                metric: self.metric,
            })?;
        }
        rows.end()
    }
}

struct Row<'a> {
    label: Label,
    group: &'a Group,
    count: u64,
    metric: &'a str,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut row = serializer.serialize_map(None)?;
        row.serialize_entry("time", &self.label.to_string())?;
        match &self.group.key {
            GroupKey::Everyone => {}
            GroupKey::App(id) => row.serialize_entry("group", id)?,
            GroupKey::Segment(id) => row.serialize_entry("group", id)?,
            GroupKey::Value(value) => row.serialize_entry("group", &value.as_ref().map(Value))?,
            GroupKey::Others => {
                row.serialize_entry("group", &None::<&str>)?;
                row.serialize_entry("others", &true)?;
            }
        }
        row.serialize_entry(self.metric, &self.count)?;
        row.end()
    }
}

/// The value of a group as JSON.
struct Value<'a>(&'a GroupValue);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            GroupValue::Bool(flag) => serializer.serialize_bool(*flag),
            // Recorded integers have 64 bits.
            GroupValue::Integer(integer) => match (i64::try_from(*integer), u64::try_from(*integer)) {
                (Ok(integer), _) => serializer.serialize_i64(integer),
                (_, Ok(integer)) => serializer.serialize_u64(integer),
                _ => serializer.serialize_i128(*integer),
            },
            GroupValue::Fraction(fraction) => serializer.serialize_f64(fraction.0),
            GroupValue::Text(text) => serializer.serialize_str(text),
        }
    }
}
