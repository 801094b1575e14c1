//! The optional configuration file: TOML, where an unknown key is an error.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer};

use super::logging::LogFormat;

/// Nobody's settings are longer.
const MAX_BYTES: u64 = 1024 * 1024;

/// What a configuration file may say. Environment variables and flags of the same names come before it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--store`
    pub store: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--ops-listen`
    pub ops_listen: Option<String>,
    /// `--log-format`
    pub log_format: Option<LogFormat>,
    /// `--log-level`
    pub log_level: Option<String>,
    /// `--trusted-proxies`
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// `--request-timeout`, seconds
    pub request_timeout: Option<u64>,
    /// `--client-rate-limit`, requests a minute and address
    pub client_rate_limit: Option<u64>,
    /// `--connections-per-address`
    pub connections_per_address: Option<usize>,
    /// `--journal-limit`, megabytes
    pub journal_limit: Option<u64>,
    /// `--check-rate`, checks a minute
    pub check_rate: Option<u32>,
    /// `--memory`, mebibytes
    pub memory: Option<u64>,
    /// `--no-dashboard`
    pub no_dashboard: bool,
    /// `--public-url`
    pub public_url: Option<String>,
}

impl fmt::Debug for Config {
    /// Without the store, whose address may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, is no TOML, or has a key or value that is not known; names the file and the line.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            text_of(file).with_context(|| format!("can't read the configuration file {}", file.display()))?;
        Self::parse(&text).map_err(|error| anyhow!("{}{error}", file.display()))
    }

    /// The error begins with the line, to stand after the file's name.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().replace('`', "'");
            match error.span() {
                Some(span) => format!(":{}: {message}", line_of(text, span.start)),
                None => format!(": {message}"),
            }
        })
    }
}

/// The content of a small regular file; a device might never end, and a pipe never begin.
fn text_of(file: &Path) -> anyhow::Result<String> {
    if !std::fs::metadata(file)?.is_file() {
        bail!("it is no regular file");
    }
    let mut text = String::new();
    let read = std::fs::File::open(file)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).map_or(true, |read| read > MAX_BYTES) {
        bail!("it has more than {MAX_BYTES} bytes");
    }
    Ok(text)
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| super::values::network(text).map_err(serde::de::Error::custom);
    texts.iter().map(network).collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_key_is_read() {
        let config = Config::parse(
            "data = '/var/lib/sessionmeter'\n\
             store = 'clickhouse://host/db'\n\
             listen = '0.0.0.0:8080'\n\
             ops-listen = '127.0.0.1:8081'\n\
             log-format = 'json'\n\
             log-level = 'info'\n\
             trusted-proxies = ['10.0.0.0/8']\n\
             request-timeout = 30\n\
             client-rate-limit = 60\n\
             connections-per-address = 100\n\
             journal-limit = 256\n\
             check-rate = 0\n\
             no-dashboard = true\n\
             public-url = 'https://sessions.example.com'\n\
             memory = 64\n",
        )
        .unwrap();
        assert_eq!(config.data.as_deref(), Some(Path::new("/var/lib/sessionmeter")));
        assert_eq!(config.store.as_deref(), Some("clickhouse://host/db"));
        assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(config.log_format, Some(LogFormat::Json));
        assert_eq!(config.request_timeout, Some(30));
        assert_eq!(config.client_rate_limit, Some(60));
        assert_eq!(config.connections_per_address, Some(100));
        assert_eq!((config.journal_limit, config.check_rate), (Some(256), Some(0)));
        assert!(config.no_dashboard);
        assert_eq!(config.public_url.as_deref(), Some("https://sessions.example.com"));
        assert_eq!(config.memory, Some(64));
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_known_ones() {
        let message = Config::parse("data = 'x'\nlisten_on = 'y'\n").unwrap_err();
        assert_eq!(
            message,
            ":2: unknown field 'listen_on', expected one of 'data', 'store', 'listen', 'ops-listen', 'log-format', \
             'log-level', 'trusted-proxies', 'request-timeout', 'client-rate-limit', \
             'connections-per-address', 'journal-limit', 'check-rate', 'memory', 'no-dashboard', 'public-url'"
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_line() {
        let message = Config::parse("\nrequest-timeout = 'soon'").unwrap_err();
        assert!(message.starts_with(":2: invalid type: string"), "{message}");
    }

    #[test]
    fn what_is_no_small_regular_file_is_not_read() {
        let read = |file: &Path| format!("{:#}", Config::read(file).unwrap_err());
        assert!(read(Path::new("/dev/zero")).ends_with("it is no regular file"));
        assert!(read(Path::new("/")).ends_with("it is no regular file"));
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_BYTES + 1).unwrap();
        assert!(read(file.path()).ends_with("it has more than 1048576 bytes"));
    }
}
