//! Sessions in the rows of a table: CSV and Parquet. Columns are told by their names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::attributes::{Attributes, Members};
use super::cell::{ATTRIBUTE, ATTRIBUTES, attribute, attributes, scalar};
use super::wire::{Wire, missing_digits};
use super::{Context, ItemError, digits};
use crate::model::{Session, SessionField};
use crate::series::Zone;

pub use super::cell::Cell;

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
            let fields: Vec<&str> = SessionField::ALL.iter().map(|field| field.name()).collect();
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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Field(SessionField),
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
        SessionField::named(name).map(Self::Field)
    }

    /// The same whatever the case of its letters; of an attribute only those before its own name.
    fn of_any_case(name: &str) -> Option<Self> {
        if let Some((prefix, attribute)) = name.split_at_checked(ATTRIBUTE.len())
            && prefix.eq_ignore_ascii_case(ATTRIBUTE)
        {
            return Self::of(&format!("{ATTRIBUTE}{attribute}"));
        }
        Self::of(&name.to_ascii_lowercase())
    }
}

/// What the columns of one table are.
#[derive(Debug)]
pub struct Columns {
    targets: Vec<Option<Target>>,
    ignored: Vec<String>,
    zone: Option<Zone>,
}

impl Columns {
    /// From the names of the columns, in their order.
    ///
    /// # Errors
    /// When no row can be a session; `has_app` tells whether rows may do without an app.
    pub fn new(names: &[&str], renames: &[Rename], has_app: bool) -> Result<Self, ColumnsError> {
        let mut targets = vec![None; names.len()];
        for rename in renames {
            let target = named(names, &rename.column).and_then(|index| targets.get_mut(index));
            match target {
                Some(target) => *target = Target::of(&rename.field),
                None => return Err(missing(&rename.column, ", which --map names", names)),
            }
        }
        let renamed = targets.clone();
        // A name that is written as it is documented comes before others.
        for reading in [Target::of, Target::of_any_case] {
            let taken = targets.clone();
            for (target, name) in targets.iter_mut().zip(names) {
                let found = reading(name);
                if target.is_none() && found.is_some() && !renamed.contains(&found) && !taken.contains(&found)
                {
                    *target = found;
                }
            }
        }
        let ignored = targets.iter().zip(names).filter(|(target, _)| target.is_none());
        let ignored = ignored.map(|(_, name)| (*name).to_owned()).collect();
        let columns = Self {
            targets,
            ignored,
            zone: None,
        };
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
        for field in [
            SessionField::AppId,
            SessionField::SessionId,
            SessionField::StartedAt,
        ] {
            let (name, hint) = match field {
                SessionField::AppId if has_app => continue,
                SessionField::AppId => ("app_id", "; name one with --map app_id=COLUMN, or give --app"),
                SessionField::SessionId => ("session_id", "; name one with --map session_id=COLUMN"),
                _ => ("started_at", "; name one with --map started_at=COLUMN"),
            };
            if !columns.targets.contains(&Some(Target::Field(field))) {
                return Err(missing(name, hint, names));
            }
        }
        Ok(columns)
    }

    /// The same with the zone of times that are written without an offset.
    pub fn in_zone(self, zone: Option<Zone>) -> Self {
        Self { zone, ..self }
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
                Target::Field(field) => {
                    let name = field.name();
                    if let Cell::Written(bytes) = cell
                        && field.may_be_number()
                        && let Ok(text) = std::str::from_utf8(bytes)
                        && digits::are_missing(text)
                    {
                        return Err(missing_digits(name, text));
                    }
                    wire.set(*field, scalar(name, cell, field.may_be_number())?);
                }
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
        wire.into_exported_session(context, self.zone.as_ref())
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

/// The column of this name, or else the only one whose name differs in the case of letters.
fn named(names: &[&str], wanted: &str) -> Option<usize> {
    let exact = names.iter().position(|name| *name == wanted);
    exact.or_else(|| {
        let mut similar = names
            .iter()
            .enumerate()
            .filter(|(_, name)| name.eq_ignore_ascii_case(wanted));
        match (similar.next(), similar.next()) {
            (Some((index, _)), None) => Some(index),
            _ => None,
        }
    })
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

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field, self.column)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::WorkspaceEntry;
    use crate::model::{RateLimits, StartLimits, Workspace};

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

    #[test]
    fn names_are_found_in_any_case_the_documented_ones_first() {
        let names = [
            "Session_ID",
            "STARTED_AT",
            "Attributes.Plan",
            "Country",
            "country",
            "TS",
        ];
        let columns = Columns::new(&names, &[], true).unwrap();
        assert_eq!(columns.ignored(), ["Country", "TS"]);
        assert_eq!(columns.targets[2], Some(Target::Attribute("Plan".into())));
        let columns = Columns::new(&names, &[rename("started_at=ts")], true).unwrap();
        assert_eq!(columns.ignored(), ["STARTED_AT", "Country"]);
        let twice = ["session_id", "Started_At", "STARTED_AT"];
        assert!(matches!(
            Columns::new(&twice, &[], true),
            Err(ColumnsError::Twice(_))
        ));
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
                limits: StartLimits::new(1_700_000_000_000, None),
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
                segment_limit: 0,
                retention: None,
                sealed_before: 0,
                first_weekday: crate::model::Weekday::default(),
            },
            zone: crate::series::Zone::utc(),
            apps: Vec::new(),
            keys: Vec::new(),
            segments: Vec::new(),
        }
    }
}
