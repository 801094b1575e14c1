//! Files of other programs become the sessions that they hold, and what is exported becomes the same sessions again.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says so by panicking"
)]

#[path = "import_formats/csv.rs"]
mod csv;
#[path = "import_formats/currents.rs"]
mod currents;
#[path = "import_formats/export.rs"]
mod export;
#[path = "import_formats/parquet.rs"]
mod parquet;
#[path = "import_formats/python.rs"]
mod python;
mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

const APP: &str = "00dc3cf6-1763-5d5b-8264-db458aa346c3";

/// A store with the workspace `acme` and the app `Shop`, and room for files.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            directory: TempDir::new().unwrap(),
        };
        place.make_store("store");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn make_store(&self, name: &str) {
        let store = self.path(name);
        support::command(&store, &["workspace", "create", "acme"]);
        support::command(
            &store,
            &["app", "create", "Shop", "--workspace", "acme", "--id", APP],
        );
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Imports into the store; the report with `recorded`, `duplicates` and so on.
    fn import(&self, arguments: &[&str]) -> Value {
        support::command(&self.path("store"), &[&["import"], arguments].concat())
    }

    /// The same where it does not succeed; the report and what was said.
    fn import_badly(&self, arguments: &[&str]) -> (Value, String) {
        let output = support::run(&self.path("store"), &[&["import", "--json"], arguments].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        (
            serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            errors,
        )
    }
}

/// What an import's report counts: recorded, duplicates, refused.
fn counts(report: &Value) -> [u64; 3] {
    ["recorded", "duplicates", "refused"].map(|name| report[name].as_u64().unwrap())
}

/// All sessions of a store, each as JSON.
fn stored(store: &Path) -> Vec<Value> {
    let all = support::stored::stored(store).into_iter();
    all.map(|session| {
        json!({
            "id": session.session_id,
            "start": session.start,
            "duration": session.duration,
            "user": session.user,
            "device": session.device,
            "properties": serde_json::from_str::<Value>(&session.properties).unwrap(),
        })
    })
    .collect()
}
