//! Sessions in the rows of a table: CSV and Parquet. Columns are told by their names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::attributes::{Attributes, Members};
use super::scalar::Scalar;
use super::wire::{Field, Wire, wrong};
use super::{Context, ItemError};
use crate::model::Session;

/// Begins the name of a column that is one attribute.
const ATTRIBUTE: &str = "attributes.";
/// A column of JSON objects.
const ATTRIBUTES: &str = "attributes";

/// `started_at=ts`: the column `ts` is the field `started_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    field: String,
    column: String,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, column) = text
            .split_once('=')
            .ok_or("give FIELD=COLUMN, such as started_at=ts")?;
        if Target::of(field).is_none() {
            let fields: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
            return Err(format!(
                "there is no field '{field}'; the fields are {}, {ATTRIBUTES} and {ATTRIBUTE}NAME",
                fields.join(", ")
            ));
        }
        Ok(Self {
            field: field.to_owned(),
            column: column.to_owned(),
        })
    }
}

/// Why no row of a table can be a session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// A required field has no column.
    #[error("there is no column '{column}'{hint}; the columns are {existing}")]
    Missing {
        /// Its name.
        column: String,
        /// What would help.
        hint: &'static str,
        /// What there is.
        existing: String,
    },
    /// Two columns are one field.
    #[error("two columns are '{0}'")]
    Twice(String),
}

/// A value as a table gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Absent,
    /// As it is written in a format that has only texts: the column decides what it is.
    Written(&'a [u8]),
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(serde_json::Number),
    /// True or false.
    Bool(bool),
    /// Something that no field can be; its name for messages.
    Other(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Field(Field),
    Attribute(String),
    Attributes,
}

impl Target {
    fn of(name: &str) -> Option<Self> {
        if name == ATTRIBUTES {
            return Some(Self::Attributes);
        }
        if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
            return (!attribute.is_empty()).then(|| Self::Attribute(attribute.to_owned()));
        }
        let field = Field::ALL.into_iter().find(|field| field.name() == name);
        field.map(Self::Field)
    }
}

/// What the columns of one table are.
#[derive(Debug)]
pub struct Columns {
    targets: Vec<Option<Target>>,
    ignored: Vec<String>,
}

impl Columns {
    /// From the names of the columns, in their order.
    ///
    /// # Errors
    /// When no row can be a session; `has_app` tells whether rows may do without an app.
    pub fn new(names: &[&str], renames: &[Rename], has_app: bool) -> Result<Self, ColumnsError> {
        for rename in renames {
            if !names.contains(&rename.column.as_str()) {
                return Err(missing(&rename.column, ", which --map names", names));
            }
        }
        let mut ignored = Vec::new();
        let targets = names
            .iter()
            .map(|name| {
                let renamed = renames.iter().find(|rename| rename.column == *name);
                let replaced = renames.iter().any(|rename| rename.field == *name);
                let target = match renamed {
                    Some(rename) => Target::of(&rename.field),
                    None if replaced => None,
                    None => Target::of(name),
                };
                if target.is_none() {
                    ignored.push((*name).to_owned());
                }
                target
            })
            .collect();
        let columns = Self { targets, ignored };
        for (index, target) in columns.targets.iter().enumerate() {
            if target.is_some()
                && columns
                    .targets
                    .iter()
                    .skip(index + 1)
                    .any(|other| other == target)
            {
                let name = names.get(index).copied().unwrap_or_default();
                return Err(ColumnsError::Twice(name.chars().take(100).collect()));
            }
        }
        for field in [Field::AppId, Field::SessionId, Field::StartedAt] {
            let (name, hint) = match field {
                Field::AppId if has_app => continue,
                Field::AppId => ("app_id", "; name one with --map app_id=COLUMN, or give --app"),
                Field::SessionId => ("session_id", "; name one with --map session_id=COLUMN"),
                _ => ("started_at", "; name one with --map started_at=COLUMN"),
            };
            if !columns.targets.contains(&Some(Target::Field(field))) {
                return Err(missing(name, hint, names));
            }
        }
        Ok(columns)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Names of columns that are no field.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Reads a row: its cells in the order of the columns.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn session<'a>(
        &'a self,
        cells: impl Iterator<Item = Cell<'a>>,
        context: &Context<'_>,
    ) -> Result<Session, ItemError> {
        let mut wire = Wire::default();
        let mut entries = Vec::new();
        let mut object = None;
        for (target, cell) in self.targets.iter().zip(cells) {
            let Some(target) = target else { continue };
            if matches!(cell, Cell::Absent | Cell::Written(b"")) {
                continue;
            }
            match target {
                Target::Field(field) => wire.set(*field, scalar(field.name(), cell, field.may_be_number())?),
                Target::Attribute(name) => {
                    entries.push((Cow::Borrowed(name.as_str()), attribute(name, cell)?))
                }
                Target::Attributes => object = Some(attributes(cell)?),
            }
        }
        wire.attributes = match (object, entries.is_empty()) {
            (object, true) => object,
            (Some(Attributes::Entries(Members { mut kept, count })), false) => {
                let count = count + entries.len();
                kept.extend(entries);
                Some(Attributes::Entries(Members { kept, count }))
            }
            (_, false) => Some(Attributes::Entries(Members {
                count: entries.len(),
                kept: entries,
            })),
        };
        wire.into_exported_session(context)
    }

    /// A refused row in the product's own format, so that it can be mended.
    pub fn as_json<'a>(&'a self, cells: impl Iterator<Item = Cell<'a>>) -> String {
        let mut row = serde_json::Map::new();
        let mut attributes = serde_json::Map::new();
        for (target, cell) in self.targets.iter().zip(cells) {
            let value = match cell {
                Cell::Absent => continue,
                Cell::Written(bytes) => String::from_utf8_lossy(bytes).into(),
                Cell::Text(text) => text.into(),
                Cell::Number(number) => number.into(),
                Cell::Bool(flag) => flag.into(),
                Cell::Other(what) => what.into(),
            };
            match target {
                None => {}
                Some(Target::Field(field)) => _ = row.insert(field.name().to_owned(), value),
                Some(Target::Attribute(name)) => _ = attributes.insert(name.clone(), value),
                Some(Target::Attributes) => match value.as_str().map(serde_json::from_str) {
                    Some(Ok(serde_json::Value::Object(object))) => attributes.extend(object),
                    _ => _ = row.insert(ATTRIBUTES.to_owned(), value),
                },
            }
        }
        if !attributes.is_empty() {
            row.insert(ATTRIBUTES.to_owned(), attributes.into());
        }
        serde_json::Value::Object(row).to_string()
    }
}

fn missing(column: &str, hint: &'static str, names: &[&str]) -> ColumnsError {
    const SHOWN: usize = 20;
    let mut existing: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("'{}'", name.chars().take(100).collect::<String>()))
        .collect();
    if names.len() > SHOWN {
        existing.push(format!("{} more", names.len() - SHOWN));
    }
    ColumnsError::Missing {
        column: column.chars().take(100).collect(),
        hint,
        existing: existing.join(", "),
    }
}

/// The value of a field. A written one is a number only where the field may be one.
fn scalar<'a>(name: &str, cell: Cell<'a>, may_be_number: bool) -> Result<Scalar<'a>, ItemError> {
    Ok(match cell {
        Cell::Absent => Scalar::Null,
        Cell::Written(bytes) => {
            let text = utf8(name, bytes)?;
            match number(text).filter(|_| may_be_number) {
                Some(number) => Scalar::Number(number),
                None => Scalar::Text(Cow::Borrowed(text)),
            }
        }
        Cell::Text(text) => Scalar::Text(text),
        Cell::Number(number) => Scalar::Number(number),
        Cell::Bool(flag) => Scalar::Bool(flag),
        Cell::Other(what) => return Err(ItemError(format!("'{name}' must be one value, received {what}"))),
    })
}

/// The value of an attribute. What is written as JSON writes `true`, `false` or a number is that, all else text.
fn attribute<'a>(name: &str, cell: Cell<'a>) -> Result<Scalar<'a>, ItemError> {
    match cell {
        Cell::Written(b"true") => Ok(Scalar::Bool(true)),
        Cell::Written(b"false") => Ok(Scalar::Bool(false)),
        cell => scalar(
            &format!("{ATTRIBUTE}{}", name.chars().take(64).collect::<String>()),
            cell,
            true,
        ),
    }
}

fn attributes(cell: Cell<'_>) -> Result<Attributes<'_>, ItemError> {
    let parsed = match &cell {
        Cell::Written(bytes) => serde_json::from_slice::<Owned>(bytes),
        Cell::Text(text) => serde_json::from_str(text),
        _ => return Err(ItemError("'attributes' must be a JSON object".into())),
    };
    match parsed {
        Ok(Owned(attributes)) => Ok(attributes),
        Err(_) => {
            let received = scalar(ATTRIBUTES, cell, false)?;
            Err(wrong(ATTRIBUTES, &received, "a JSON object"))
        }
    }
}

/// Attributes that borrow nothing.
struct Owned(Attributes<'static>);

impl<'de> serde::Deserialize<'de> for Owned {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Attributes::deserialize(deserializer).map(|attributes| Self(attributes.into_owned()))
    }
}

/// A text that is a JSON number, without white space.
fn number(text: &str) -> Option<serde_json::Number> {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let ends = text.ends_with(|last: char| last.is_ascii_digit());
    (begins && ends)
        .then(|| serde_json::from_str(text).ok())
        .flatten()
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, ItemError> {
    std::str::from_utf8(bytes).map_err(|_| {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(100).collect();
        ItemError(format!("'{name}' must be UTF-8, received '{shown}'"))
    })
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field, self.column)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{RateLimits, Workspace};
    use crate::store::WorkspaceEntry;

    const NAMES: [&str; 3] = ["app_id", "session_id", "started_at"];

    fn rename(text: &str) -> Rename {
        text.parse().unwrap()
    }

    #[test]
    fn required_columns_must_be_there() {
        assert!(Columns::new(&NAMES, &[], false).is_ok());
        assert!(Columns::new(&NAMES[1..], &[], true).is_ok());
        let error = Columns::new(&NAMES[1..], &[], false).unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no column 'app_id'; name one with --map app_id=COLUMN, or give --app; the columns are 'session_id', 'started_at'"
        );
    }

    #[test]
    fn renames_replace_and_must_name_a_column() {
        let names = ["session_id", "started_at", "ts"];
        let columns = Columns::new(&names, &[rename("started_at=ts")], true).unwrap();
        assert_eq!(columns.ignored(), ["started_at"]);
        let error = Columns::new(&names, &[rename("started_at=when")], true).unwrap_err();
        assert!(error.to_string().contains("no column 'when', which --map names"));
        assert!("starts=ts".parse::<Rename>().is_err());
        let twice = ["session_id", "started_at", "session_id"];
        assert_eq!(
            Columns::new(&twice, &[], true).unwrap_err(),
            ColumnsError::Twice("session_id".into())
        );
    }

    proptest! {
        #[test]
        fn any_header_and_any_cells_are_read_or_refused(
            names in proptest::collection::vec("(duration|attributes\\.a|user_id|country|\\PC{0,4})", 0..6),
            cells in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 0..6),
            json in "[\\[{}\\]\":,a0-9.e+-]{0,20}",
        ) {
            let workspace = workspace();
            let context = Context {
                workspace: &workspace,
                default_app: Some(crate::model::AppId::random()),
                now: 1_700_000_000_000,
            };
            let names: Vec<&str> = ["session_id", "started_at", "attributes"]
                .into_iter()
                .chain(names.iter().map(String::as_str))
                .collect();
            if let Ok(columns) = Columns::new(&names, &[], true) {
                let cells = [&b"s"[..], b"1530248399", json.as_bytes()]
                    .into_iter()
                    .chain(cells.iter().map(Vec::as_slice));
                let _ = columns.session(cells.map(Cell::Written), &context);
            }
        }
    }

    fn workspace() -> WorkspaceEntry {
        WorkspaceEntry {
            workspace: Workspace {
                id: crate::model::WorkspaceId::random(),
                name: "acme".parse().unwrap(),
                time_zone: "UTC".into(),
                rate_limits: RateLimits::default(),
                segment_limit: 25,
            },
            zone: crate::series::Zone::utc(),
            apps: Vec::new(),
            keys: Vec::new(),
            segments: Vec::new(),
        }
    }

    #[test]
    fn written_attributes_are_what_json_would_read() {
        let read = |text: &'static str| attribute("a", Cell::Written(text.as_bytes())).unwrap();
        assert_eq!(read("true"), Scalar::Bool(true));
        for text in ["1", "-1.5", "1e3", "0"] {
            assert!(matches!(read(text), Scalar::Number(_)), "{text}");
        }
        for text in [
            "TRUE", "null", "01", "+1", "1.", ".5", " 1", "1 ", "1e999", "0x1", "-", "a",
        ] {
            assert_eq!(read(text), Scalar::Text(text.into()), "{text}");
        }
    }
}
