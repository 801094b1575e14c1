//! Python with the libraries that other people write and read such files with.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use crate::support::packages;

const FOLDER: &str = "tests/suite/import_formats";

/// Runs a script of this folder; what it printed.
pub(super) fn run(script: &str, arguments: &[&str]) -> String {
    static INTERPRETER: LazyLock<PathBuf> = LazyLock::new(|| packages::python(FOLDER));
    let mut command = Command::new(&*INTERPRETER);
    command.arg(packages::source(FOLDER).join(script)).args(arguments);
    packages::run("this test needs python3", &mut command)
}
