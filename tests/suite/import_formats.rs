//! Files of other programs become the sessions that they hold, and what is exported becomes the same sessions again.

mod csv;
mod csv_faults;
mod currents;
mod export;
mod parquet;
mod python;

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
        crate::support::command(&store, &["workspace", "create", "acme"]);
        crate::support::command(
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
        let import = ["import", "--allow-rejects"];
        crate::support::command(&self.path("store"), &[&import[..], arguments].concat())
    }

    /// The same where it does not succeed; the report and what was said.
    fn import_badly(&self, arguments: &[&str]) -> (Value, String) {
        let output = crate::support::run(&self.path("store"), &[&["import", "--json"], arguments].concat());
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
    let all = crate::support::stored::stored(store).into_iter();
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
