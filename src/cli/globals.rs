//! What every command knows: where the store is, how to print, and the configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;

use super::Config;
use crate::store::clickhouse::{Address, AddressError, ClickHouseStore};
use crate::store::sqlite::SqliteStore;
use crate::store::{Role, Store, StoreError};

const DEFAULT_DATA: &str = "sessionmeter-data";
const DATA_VARIABLE: &str = "SESSIONMETER_DATA";
const STORE_VARIABLE: &str = "SESSIONMETER_STORE";

/// Options that every command takes.
///
/// The two variables that name the store are read here and not by clap, whose help would show the password in one.
#[derive(Debug, Args)]
pub struct GlobalArgs {
    /// Directory of the embedded store [default: ./sessionmeter-data] [env: SESSIONMETER_DATA]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options",
        conflicts_with = "store"
    )]
    data: Option<PathBuf>,
    /// The store, a directory or clickhouse://USER:PASSWORD@HOST:PORT/DATABASE?cluster=NAME; since others may see what is
    /// typed, the environment is the better place for a password [env: SESSIONMETER_STORE]
    #[arg(long, global = true, value_name = "STORE", help_heading = "Global options")]
    store: Option<String>,
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

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded one, in this directory.
    Directory(PathBuf),
    /// In ClickHouse.
    ClickHouse(Address),
}

impl Place {
    /// Reads what `--store` takes.
    ///
    /// # Errors
    /// When it is meant to be an address and is none; the error quotes nothing of it.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        match Address::is_meant(text) {
            true => text.parse().map(Self::ClickHouse),
            false => Ok(Self::Directory(text.into())),
        }
    }

    /// Opens the store. Whoever opens it closes it.
    ///
    /// # Errors
    /// As [`SqliteStore::open`] and [`ClickHouseStore::open`].
    pub async fn open(&self, role: Role) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Directory(directory) => Arc::new(SqliteStore::open(directory, role)?),
            Self::ClickHouse(address) => Arc::new(ClickHouseStore::open(address, role).await?),
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::ClickHouse(address) => address.fmt(f),
        }
    }
}

/// The global options, resolved.
#[derive(Debug, Clone)]
pub struct Globals {
    /// The store: flag, environment, file, default, in this order.
    pub store: Place,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// The configuration file; all empty if there is none.
    pub config: Config,
}

impl Globals {
    /// Reads the configuration file, if one was named.
    ///
    /// # Errors
    /// When the file can't be read or says something unknown, or the store's address can't be read.
    pub fn new(args: GlobalArgs) -> anyhow::Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = args
            .config
            .as_deref()
            .map(Config::read)
            .transpose()?
            .unwrap_or_default();
        let store = match variable(STORE_VARIABLE).map(|value| value.into_string()) {
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => bail!("{STORE_VARIABLE} is not UTF-8"),
        };
        let given = [
            (args.data, args.store),
            (variable(DATA_VARIABLE).map(Into::into), store),
            (config.data.clone(), config.store.clone()),
        ];
        Ok(Self {
            store: place(given)?,
            json: args.json,
            config,
        })
    }

    /// Opens the store that a command works on. Whoever opens it closes it.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub async fn open(&self, role: Role) -> Result<Arc<dyn Store>, StoreError> {
        self.store.open(role).await
    }
}

/// The first place at which a directory or a store was named; a store comes before a directory.
fn place(given: [(Option<PathBuf>, Option<String>); 3]) -> Result<Place, AddressError> {
    for (data, store) in given {
        match (store, data) {
            (Some(store), _) => return Place::read(&store),
            (None, Some(data)) => return Ok(Place::Directory(data)),
            (None, None) => {}
        }
    }
    Ok(Place::Directory(DEFAULT_DATA.into()))
}

#[cfg(test)]
mod tests {
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
        let store = |line: &[&str]| globals(line).unwrap().store.to_string();
        assert_eq!(store(&[]), DEFAULT_DATA);
        assert_eq!(store(&["--config", path]), "from-file");
        assert_eq!(store(&["--config", path, "--data", "given"]), "given");
        assert_eq!(store(&["--config", path, "--store", "given"]), "given");
        let address = "clickhouse://u:hunter2@host:9/db";
        assert_eq!(
            store(&["--config", path, "--store", address]),
            "clickhouse://host:9/db"
        );
    }

    #[test]
    fn in_one_place_a_store_comes_before_a_directory() {
        let given = |text: &str| (Some("directory".into()), Some(text.to_owned()));
        let nothing = || (None, None);
        assert_eq!(
            place([nothing(), given("a"), given("b")]),
            Ok(Place::Directory("a".into()))
        );
        let flag = (Some("flag".into()), None);
        assert_eq!(
            place([flag, given("a"), nothing()]),
            Ok(Place::Directory("flag".into()))
        );
        assert!(place([given("http://x"), nothing(), nothing()]).is_err());
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
