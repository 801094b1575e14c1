//! What every command knows: where the store is, how to print, and the configuration file.

use std::path::PathBuf;

use clap::Args;

use super::Config;
use crate::store::StoreError;
use crate::store::sqlite::{Role, SqliteStore};

const DEFAULT_DATA: &str = "sessionmeter-data";

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Directory of the embedded store [default: ./sessionmeter-data]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SESSIONMETER_DATA",
        help_heading = "Global options"
    )]
    data: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) json: bool,
    /// Configuration file (TOML); environment variables come before it, flags before both
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SESSIONMETER_CONFIG",
        help_heading = "Global options"
    )]
    config: Option<PathBuf>,
}

/// The global options, resolved.
#[derive(Debug, Clone)]
pub struct Globals {
    /// Directory of the embedded store: flag, environment, file, default, in this order.
    pub data: PathBuf,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// The configuration file; all empty if there is none.
    pub config: Config,
}

impl Globals {
    /// Reads the configuration file, if one was named.
    ///
    /// # Errors
    /// When the file can't be read or says something unknown.
    pub fn new(args: GlobalArgs) -> anyhow::Result<Self> {
        let config = args
            .config
            .as_deref()
            .map(Config::read)
            .transpose()?
            .unwrap_or_default();
        Ok(Self {
            data: data(args.data, &config),
            json: args.json,
            config,
        })
    }

    /// Opens the store that a command works on. Whoever opens it closes it.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open(&self, role: Role) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.data, role)
    }
}

fn data(given: Option<PathBuf>, config: &Config) -> PathBuf {
    given
        .or_else(|| config.data.clone())
        .unwrap_or_else(|| DEFAULT_DATA.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        globals: GlobalArgs,
    }

    fn config(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn globals(line: &[&str]) -> anyhow::Result<Globals> {
        let line = std::iter::once("sessionmeter").chain(line.iter().copied());
        Globals::new(Only::parse_from(line).globals)
    }

    // Clap itself puts flags before environment variables; what is ours is the rest of the order.
    #[test]
    fn what_was_given_comes_before_the_file_and_the_file_before_the_default() {
        let file = config("data = 'from-file'");
        let path = file.path().to_str().unwrap();
        assert_eq!(globals(&[]).unwrap().data, Path::new(DEFAULT_DATA));
        assert_eq!(globals(&["--config", path]).unwrap().data, Path::new("from-file"));
        assert_eq!(
            globals(&["--config", path, "--data", "given"]).unwrap().data,
            Path::new("given")
        );
    }

    #[test]
    fn errors_name_the_file() {
        let file = config("colour = 'red'");
        let path = file.path().to_str().unwrap();
        let message = globals(&["--config", path]).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{path}:1: unknown field 'colour'")),
            "{message}"
        );
        let missing = globals(&["--config", "no-such-file"]).unwrap_err().to_string();
        assert!(missing.contains("no-such-file"), "{missing}");
    }
}
