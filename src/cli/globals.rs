//! What every command knows: where the store is, how to print, and the configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::Args;

use super::{Config, usage_error};
use crate::store::clickhouse::Address;
use crate::store::sqlite::Opening;
use crate::store::{Place, Role, Store, StoreError};

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
    /// Keep no copy of the old file where a store of an older format is brought up to date: for who has a backup
    #[arg(
        long,
        global = true,
        env = "SESSIONMETER_NO_MIGRATION_COPY",
        value_parser = clap::builder::FalseyValueParser::new(),
        help_heading = "Global options"
    )]
    no_migration_copy: bool,
}

/// The global options, resolved.
#[derive(Debug, Clone)]
pub struct Globals {
    /// The store: flag, environment, file, default, in this order.
    pub store: Place,
    /// Which of them said so.
    said_by: &'static str,
    /// Whether results are printed as JSON.
    pub json: bool,
    /// The configuration file; all empty if there is none.
    pub config: Config,
    /// How an embedded store is opened.
    pub opening: Opening,
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
            Given {
                data: ("--data", args.data),
                store: ("--store", args.store),
            },
            Given {
                data: (DATA_VARIABLE, variable(DATA_VARIABLE).map(Into::into)),
                store: (STORE_VARIABLE, store),
            },
            Given {
                data: ("'data' in the configuration file", config.data.clone()),
                store: ("'store' in the configuration file", config.store.clone()),
            },
        ];
        let (store, said_by) = place(given)?;
        Ok(Self {
            store,
            said_by,
            json: args.json,
            config,
            opening: Opening {
                migration_copy: !args.no_migration_copy,
                ..Opening::default()
            },
        })
    }

    /// Opens the store that a command works on, works on it, and closes it, whatever came of the work.
    ///
    /// # Errors
    /// As [`Globals::open`], and what went wrong with the work.
    pub(super) async fn with_store<T>(
        &self,
        role: Role,
        work: impl AsyncFnOnce(&dyn Store) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let store = self.open(role).await?;
        let result = work(store.as_ref()).await;
        store.close().await;
        result
    }

    /// Opens the store that a command works on. Whoever opens it closes it.
    ///
    /// # Errors
    /// As [`Place::open`].
    pub async fn open(&self, role: Role) -> Result<Arc<dyn Store>, StoreError> {
        self.store
            .open_with(role, &self.opening)
            .await
            .map_err(|error| match error {
                StoreError::NotFound(message) => StoreError::NotFound(format!(
                    "{message} (looked in {}, which is {})",
                    self.whole_place(),
                    self.said_by
                )),
                error => error,
            })
    }

    /// The store as it can be found from everywhere: a directory with its whole path.
    pub(super) fn whole_place(&self) -> String {
        self.absolute_place().to_string()
    }

    /// The same, before it is written.
    pub(super) fn absolute_place(&self) -> Place {
        match &self.store {
            Place::Directory(directory) => {
                let absolute = std::path::absolute(directory);
                Place::Directory(absolute.unwrap_or_else(|_| directory.clone()))
            }
            Place::ClickHouse(address) => Place::ClickHouse(address.clone()),
        }
    }
}

/// What one place names, and what messages call it there.
struct Given {
    data: (&'static str, Option<PathBuf>),
    store: (&'static str, Option<String>),
}

/// What was named first, and where; a store comes before a directory.
fn place(given: [Given; 3]) -> anyhow::Result<(Place, &'static str)> {
    // The last one is the configuration file: what is wrong there is no wrong usage of the command.
    let wrongs: [fn(String) -> anyhow::Error; 3] = [usage_error, usage_error, |message| anyhow!(message)];
    for (Given { data, store }, wrong) in given.into_iter().zip(wrongs) {
        match (store, data) {
            ((by, Some(store)), _) if store.is_empty() => {
                return Err(wrong(format!("{by} is empty; name a directory or an address")));
            }
            ((by, Some(store)), _) => {
                return Ok((Place::read(&store).map_err(|error| wrong(error.to_string()))?, by));
            }
            (_, (by, Some(data))) if data.as_os_str().is_empty() => {
                return Err(wrong(format!("{by} is empty; name a directory")));
            }
            // Quoted it would show a password.
            ((instead, _), (by, Some(data))) if data.to_str().is_some_and(Address::is_meant) => {
                return Err(wrong(format!(
                    "{by} names a directory, and this is an address; give an address with {instead}"
                )));
            }
            (_, (by, Some(data))) => return Ok((Place::Directory(data), by)),
            ((_, None), (_, None)) => {}
        }
    }
    Ok((Place::Directory(DEFAULT_DATA.into()), "the default"))
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
        let given = |data: Option<&str>, store: Option<&str>| Given {
            data: ("data", data.map(Into::into)),
            store: ("store", store.map(str::to_owned)),
        };
        let both = |store: &str| given(Some("directory"), Some(store));
        let nothing = || given(None, None);
        let found = |given| place(given).unwrap().0.to_string();
        assert_eq!(found([nothing(), both("a"), both("b")]), "a");
        assert_eq!(found([given(Some("flag"), None), both("a"), nothing()]), "flag");
        assert_eq!(found([nothing(), nothing(), nothing()]), DEFAULT_DATA);
        assert!(place([both("http://x"), nothing(), nothing()]).is_err());
        let empty = || given(Some(""), None);
        let typed = place([empty(), nothing(), nothing()]).unwrap_err();
        let first = "error: data is empty; name a directory";
        assert_eq!(typed.to_string().lines().next(), Some(first));
        assert!(super::super::wrong_usage(&typed).is_some());
        let in_a_file = place([nothing(), nothing(), empty()]).unwrap_err();
        assert_eq!(in_a_file.to_string(), "data is empty; name a directory");
        assert!(super::super::wrong_usage(&in_a_file).is_none());
        assert!(place([nothing(), given(None, Some("")), nothing()]).is_err());
        let address = || given(Some("clickhouse://u:hunter2@host/db"), None);
        let typed = place([address(), nothing(), nothing()]).unwrap_err();
        let said = "error: data names a directory, and this is an address; give an address with store";
        assert_eq!(typed.to_string().lines().next(), Some(said));
        assert!(place([nothing(), nothing(), address()]).is_err());
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
