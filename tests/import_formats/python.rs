//! Python with the libraries that other people write and read such files with, installed once into a folder of the
//! build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const PACKAGES: [&str; 5] = [
    "fastavro==1.13.1",
    "cramjam==2.14.0",
    "backports.zstd==1.8.0",
    "pyarrow==26.0.1",
    "duckdb==2.0.0",
];

/// The interpreter that has them.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import-formats-python");
    let python = root.join("bin/python");
    let wanted = PACKAGES.join("\n");
    let done = root.join("packages.txt");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let root = root.to_str().unwrap();
    must(Command::new("python3").args(["-m", "venv", "--clear", root]));
    must(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES),
    );
    std::fs::write(&done, wanted).unwrap();
    python
});

/// Runs a script of this folder; what it printed.
pub(super) fn run(script: &str, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/import_formats")
        .join(script);
    must(Command::new(&*PYTHON).arg(script).args(arguments))
}

fn must(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("these tests need python3 with venv: {command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "these tests need python3 with venv and {PACKAGES:?}: {command:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}
