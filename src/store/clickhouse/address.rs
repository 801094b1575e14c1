//! Where a ClickHouse store is: `clickhouse://USER:PASSWORD@HOST:PORT/DATABASE?cluster=NAME`.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

const SCHEME: &str = "clickhouse://";
const PORT: &str = "8123";
/// A connection string, taken apart. Neither [`fmt::Debug`] nor [`fmt::Display`] nor an error shows the user's name,
/// the password, or any part of a text that could not be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `HOST:PORT` of the HTTP interface, at least one; the next one is asked where one does not answer.
    pub(super) hosts: Vec<String>,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    /// Of replicated, sharded tables.
    pub(super) cluster: Option<String>,
    /// Whether it says when days are closed, which they no longer are.
    pub(super) has_close_after: bool,
}

/// What is wrong with a connection string; it quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store's address {0}; the form is clickhouse://USER:PASSWORD@HOST:PORT/DATABASE?cluster=NAME")]
pub struct AddressError(&'static str);

impl Address {
    /// Whether a text is meant to be an address of this kind, and not a directory's name.
    pub fn is_meant(text: &str) -> bool {
        text.contains("://")
    }

    /// As commands take it, with words in the place of who connects: for whoever may know where the store is, and not how to
    /// get into it.
    pub fn without_credentials(&self) -> String {
        let place = self
            .to_string()
            .replacen(SCHEME, &format!("{SCHEME}USER:PASSWORD@"), 1);
        match &self.cluster {
            Some(cluster) => format!("{place}?cluster={cluster}"),
            None => place,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or(AddressError("must begin with clickhouse://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.rsplit_once('/').ok_or(AddressError("names no database"))?;
        let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("default", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let mut address = Self {
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            user: decoded(user)?,
            password: decoded(password)?,
            database: database.to_owned(),
            cluster: None,
            has_close_after: false,
        };
        if !is_identifier(database, "_") {
            return Err(AddressError(
                "needs a database whose name has letters, digits and _ only",
            ));
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("cluster", name)) if is_identifier(name, "_-.") => {
                    address.cluster = Some(name.to_owned())
                }
                Some(("cluster", _)) => {
                    return Err(AddressError(
                        "needs a cluster whose name has letters, digits, _, - and . only",
                    ));
                }
                Some(("close_after", _)) => address.has_close_after = true,
                _ => {
                    return Err(AddressError("has a parameter other than 'cluster'"));
                }
            }
        }
        Ok(address)
    }
}

fn host(text: &str) -> Result<String, AddressError> {
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let (name, with_port) = match text.rsplit_once(':') {
        Some((name, number)) if !number.ends_with(']') => {
            if port(number) {
                (name, text.to_owned())
            } else {
                return Err(AddressError(
                    "needs a port from 1 to 65535, that of the HTTP interface",
                ));
            }
        }
        _ => (text, format!("{text}:{PORT}")),
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-._:[]".contains(character);
    if !name.is_empty() && name.chars().all(allowed) {
        Ok(with_port)
    } else {
        Err(AddressError("needs a host"))
    }
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| AddressError("has a user or password that is not UTF-8"))
}

/// Such names go into statements as they are.
fn is_identifier(name: &str, more: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || more.contains(character);
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.hosts.join(","), self.database)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_told_where_the_store_is_is_not_told_how_to_get_in() {
        let address: Address = "clickhouse://meter:secret@one:8123,two:8123/db?cluster=main"
            .parse()
            .unwrap();
        assert_eq!(
            address.without_credentials(),
            "clickhouse://USER:PASSWORD@one:8123,two:8123/db?cluster=main"
        );
    }

    fn read(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn every_part_is_read() {
        let address =
            read("clickhouse://meter:p%40ss%3A%2Fword@ch1:9001,ch2/sessions?cluster=main-1&close_after=5");
        assert_eq!(address.hosts, ["ch1:9001", "ch2:8123"]);
        assert_eq!(address.user, "meter");
        assert_eq!(address.password, "p@ss:/word");
        assert_eq!(address.database, "sessions");
        assert_eq!(address.cluster.as_deref(), Some("main-1"));
        assert!(address.has_close_after);
        let short = read("clickhouse://localhost/db");
        assert_eq!((short.user.as_str(), short.password.as_str()), ("default", ""));
        assert_eq!((short.cluster, short.has_close_after), (None, false));
        assert_eq!(read("clickhouse://u@[::1]:8124/db").hosts, ["[::1]:8124"]);
        assert_eq!(read("clickhouse://u@[::1]/db").hosts, ["[::1]:8123"]);
    }

    #[test]
    fn nothing_of_it_is_shown_but_where_it_is() {
        let address = read("clickhouse://meter:hunter2@ch1:9001/sessions");
        assert_eq!(
            format!("{address} {address:?}")
                .matches("clickhouse://ch1:9001/sessions")
                .count(),
            2
        );
        assert!(!format!("{address} {address:?}").contains("hunter2"));
        assert!(!format!("{address:?}").contains("meter:"));
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        for (text, said) in [
            ("http://hunter2@h/db", "clickhouse://"),
            ("clickhouse://u:hunter2@h", "names no database"),
            ("clickhouse://u:hunter2@h/", "needs a database"),
            ("clickhouse://u:hunter2@h/d`b", "needs a database"),
            ("clickhouse://u:hunter2@/db", "needs a host"),
            ("clickhouse://u:hunter2@h:0/db", "needs a port"),
            ("clickhouse://u:hunter2@h:x/db", "needs a port"),
            ("clickhouse://u:hunter2@h/db?cluster=", "needs a cluster"),
            ("clickhouse://u:hunter2@h/db?cluster='x'", "needs a cluster"),
            ("clickhouse://u:hunter2@h/db?hunter2=1", "parameter other than"),
            ("clickhouse://u:hunter2%ff@h/db", "not UTF-8"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
