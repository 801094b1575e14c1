//! `serve`: the server over the embedded store.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use ipnet::IpNet;
use tokio::net::TcpListener;

use super::dashboard::{link_at, note_address};
use super::listen::{Address, AddressError, reachable};
use super::logging::{self, LogFormat, Logging};
use super::output::{check_seen, print_json, print_line};
use super::stopping::signal_to_stop;
use super::{Globals, values};
use crate::api::{ApiState, Listeners, Settings};
use crate::catalog::Change;
use crate::dashboard::{self, PublicUrl, Whereabouts};
use crate::metrics::Metrics;
use crate::model::{App, AppId, KeyId, KeySecret, NewKey, NewWorkspace, Permissions, WorkspaceId};
use crate::record::Recorder;
use crate::store::sqlite::Opening;
use crate::store::{Administration, Place, Role, Store, StoreError, seal_due_days};

const LISTEN: &str = "127.0.0.1:8080";
const OPS_LISTEN: &str = "127.0.0.1:8081";
const OFF: &str = "off";
/// How long it may take at the end to see whether the store is as it should be.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Where and how to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Address of the API, such as localhost:8080, :8080 for all addresses of the machine, or 8080; port 0 takes a free
    /// one [default: 127.0.0.1:8080]
    #[arg(long, env = "SESSIONMETER_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<Address>,

    /// Address for health, readiness and metrics, or 'off' [default: 127.0.0.1:8081, or a free port if that is taken]
    #[arg(long, env = "SESSIONMETER_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<OpsAddress>,

    /// How log lines on standard error look [default: text]
    #[arg(long, env = "SESSIONMETER_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// What is logged: error, warn, info (a line a request), debug, or tracing's filter syntax [default: info]
    #[arg(long, env = "SESSIONMETER_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// A proxy, or network of proxies, whose X-Forwarded-For is believed; may be repeated
    #[arg(
        long,
        env = "SESSIONMETER_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = values::network
    )]
    pub trusted_proxies: Vec<IpNet>,

    /// Seconds that a request may take, its arrival included [default: 60]
    #[arg(long, env = "SESSIONMETER_REQUEST_TIMEOUT", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub request_timeout: Option<u64>,

    /// Requests a minute that one address may send to the endpoints that need no key; 0 = no limit [default: 600]
    #[arg(long, env = "SESSIONMETER_CLIENT_RATE_LIMIT", value_name = "N")]
    pub client_rate_limit: Option<u64>,

    /// Connections that one address may have at one time, but for trusted proxies; 0 = no limit [default: 1024]
    #[arg(long, env = "SESSIONMETER_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    pub connections_per_address: Option<usize>,

    /// Megabytes of journal from which on an embedded store refuses to record [default: 1024]
    #[arg(long, env = "SESSIONMETER_JOURNAL_LIMIT", value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub journal_limit: Option<u64>,

    /// Checks of the embedded store that are made in the background in a minute; 0 = none [default: 12]
    #[arg(long, env = "SESSIONMETER_CHECK_RATE", value_name = "N", value_parser = clap::value_parser!(u32).range(0..=6000))]
    pub check_rate: Option<u32>,

    /// Serve no dashboard
    #[arg(long, env = "SESSIONMETER_NO_DASHBOARD", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_dashboard: bool,

    /// Address under which people reach the dashboard.
    #[arg(
        long,
        env = "SESSIONMETER_PUBLIC_URL",
        value_name = "URL",
        help = "Address under which people reach the dashboard, such as https://sessions.example.com [default: the one they ask]"
    )]
    pub public_url: Option<PublicUrl>,

    /// Whoever reaches the dashboard from this machine is signed in: for the demo's made-up sessions.
    #[arg(skip)]
    pub open_dashboard: bool,

    /// Mebibytes of memory that an embedded store may take for what it has counted [default: 256]
    #[arg(long, env = "SESSIONMETER_MEMORY", value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub memory: Option<u64>,
}

/// Where the second listener is, if anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpsAddress {
    /// Nowhere.
    Off,
    /// Here.
    At(Address),
}

impl FromStr for OpsAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            OFF => Ok(Self::Off),
            _ => text.parse().map(Self::At),
        }
    }
}

/// The addresses that are being served.
#[derive(Debug, Clone)]
pub struct Listening {
    /// The API.
    pub api: SocketAddr,
    /// Health, readiness and metrics.
    pub ops: Option<SocketAddr>,
    /// The dashboard, for people; `None` where there is none.
    pub dashboard: Option<String>,
}

/// What an empty store gets, so that the first request can be made at once.
struct FirstKey {
    workspace: WorkspaceId,
    app: AppId,
    key: KeyId,
    secret: KeySecret,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the store can't be opened or an address can't be bound.
pub async fn run(args: ServeArgs, globals: &Globals) -> anyhow::Result<()> {
    let args = args.or_config(globals)?;
    let metrics = Arc::new(Metrics::new());
    let _logging = start_logging(&args, &metrics)?;
    let store = globals
        .store
        .open_with(Role::Server, &args.opening(globals))
        .await?;
    // Before the first key is made: it is shown only once, so nothing may fail any more.
    let bound = bind(&args).await?;
    let first = create_first(store.as_ref()).await?;
    serve_bound(
        (store.clone(), globals.absolute_place()),
        args,
        metrics,
        bound,
        async |listening: &Listening| {
            let link = link_to_show(store.as_ref(), listening, globals).await;
            // Whoever started the server may have closed its output; that is no reason not to serve.
            let shown =
                check_seen().and_then(|()| announce(listening, link.as_deref(), first.as_ref(), globals));
            if let (Some(first), Err(error)) = (&first, shown) {
                let error = super::key::withdraw(store.as_ref(), first.key, error).await;
                tracing::error!(
                    "{}; make another with 'sessionmeter key create NAME --permission all'",
                    super::one_line(&error)
                );
            }
        },
    )
    .await
}

/// Serves an open store, which is at `place`, until SIGTERM or SIGINT, then finishes what was accepted and closes the store.
/// `args` are complete: the config file was merged.
///
/// # Errors
/// When an address can't be bound or logging can't be set up.
pub async fn serve_store(
    (store, place): (Arc<dyn Store>, Place),
    args: ServeArgs,
    announce: impl AsyncFnOnce(&Listening),
) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::new());
    let _logging = start_logging(&args, &metrics)?;
    let bound = bind(&args).await?;
    serve_bound((store, place), args, metrics, bound, announce).await
}

async fn serve_bound(
    (store, place): (Arc<dyn Store>, Place),
    args: ServeArgs,
    metrics: Arc<Metrics>,
    (listeners, listening): (Listeners, Listening),
    announce: impl AsyncFnOnce(&Listening),
) -> anyhow::Result<()> {
    let shutdown = signal_to_stop()?;
    let recorder = Recorder::start(store.clone(), metrics.clone());
    let settings = Settings {
        trusted_proxies: args.trusted_proxies,
        request_timeout: args
            .request_timeout
            .map_or(Settings::default().request_timeout, Duration::from_secs),
        client_rate_limit: args
            .client_rate_limit
            .unwrap_or(Settings::default().client_rate_limit),
        connections_per_address: args
            .connections_per_address
            .unwrap_or(Settings::default().connections_per_address),
    };
    if let Some(url) = &listening.dashboard
        && let Err(error) = note_address(store.as_ref(), url).await
    {
        tracing::warn!(%error, "can't note where the dashboard is; 'sessionmeter dashboard link' needs --public-url");
    }
    let trusted_proxies = settings.trusted_proxies.clone();
    let state = ApiState::new(store.clone(), recorder.clone(), metrics.clone(), settings);
    let pages = listening.dashboard.as_ref().map(|_| {
        let settings = dashboard::Settings {
            public_url: args.public_url,
            trusted_proxies,
            open: args.open_dashboard && listening.api.ip().is_loopback(),
        };
        let address = |ops| format!("http://{}/metrics", reachable(ops));
        let whereabouts = Whereabouts {
            store: place,
            metrics: listening.ops.map(address),
        };
        dashboard::router(store.clone(), state.counter(), metrics, settings, whereabouts)
    });
    announce(&listening).await;
    let sealing = tokio::spawn(seal_due_days(store.clone()));
    crate::api::serve(listeners, state, pages, shutdown).await;
    // A day is sealed or not, whenever this ends.
    sealing.abort();
    recorder.close().await;
    // A store that does not answer would only delay the end.
    let last = tokio::time::timeout(LAST_LOOK, store.ready()).await;
    store.close().await;
    tracing::info!("stopped");
    match last {
        // Whoever started the server should not take this for a clean end.
        Ok(Err(StoreError::Unusable(reason))) => bail!("{reason}"),
        _ => Ok(()),
    }
}

impl ServeArgs {
    fn opening(&self, globals: &Globals) -> Opening {
        let common = &globals.opening;
        let limit = self
            .journal_limit
            .map(|megabytes| megabytes.saturating_mul(1_000_000));
        let memory = self
            .memory
            .map(|mebibytes| usize::try_from(mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX));
        Opening {
            journal_limit: limit.unwrap_or(common.journal_limit),
            checks_per_minute: self.check_rate.unwrap_or(common.checks_per_minute),
            memory: memory.unwrap_or(common.memory),
            ..common.clone()
        }
    }

    /// Fills what neither a flag nor the environment gave from the config file.
    pub(super) fn or_config(mut self, globals: &Globals) -> anyhow::Result<Self> {
        let config = &globals.config;
        if self.listen.is_none()
            && let Some(listen) = &config.listen
        {
            self.listen = Some(
                listen
                    .parse()
                    .context("listen in the config file is no address")?,
            );
        }
        if self.ops_listen.is_none()
            && let Some(listen) = &config.ops_listen
        {
            let address = listen.parse();
            self.ops_listen = Some(address.context("ops-listen in the config file is no address")?);
        }
        self.log_format = self.log_format.or(config.log_format);
        self.log_level = self.log_level.or_else(|| config.log_level.clone());
        self.request_timeout = self.request_timeout.or(config.request_timeout);
        self.client_rate_limit = self.client_rate_limit.or(config.client_rate_limit);
        self.connections_per_address = self.connections_per_address.or(config.connections_per_address);
        self.journal_limit = self.journal_limit.or(config.journal_limit);
        self.check_rate = self.check_rate.or(config.check_rate);
        self.no_dashboard |= config.no_dashboard;
        if self.public_url.is_none()
            && let Some(url) = &config.public_url
        {
            self.public_url = Some(url.parse().context("public-url in the config file")?);
        }
        self.memory = self.memory.or(config.memory);
        if self
            .request_timeout
            .is_some_and(|seconds| !(1..=3600).contains(&seconds))
        {
            bail!("request-timeout in the config file must be 1 to 3600 seconds");
        }
        if self.trusted_proxies.is_empty() {
            self.trusted_proxies.clone_from(&config.trusted_proxies);
        }
        Ok(self)
    }
}

fn start_logging(args: &ServeArgs, metrics: &Metrics) -> anyhow::Result<Logging> {
    let level = args.log_level.as_deref().unwrap_or("info");
    let dropped = metrics.log_lines_dropped.clone();
    logging::start(level, args.log_format.unwrap_or_default(), dropped)
}

async fn bind(args: &ServeArgs) -> anyhow::Result<(Listeners, Listening)> {
    let listen = match &args.listen {
        Some(address) => address.clone(),
        None => LISTEN.parse()?,
    };
    let api = listen
        .bind()
        .await
        .with_context(|| format!("can't listen on {listen}; choose another address with --listen"))?;
    let ops = bind_ops(args.ops_listen.as_ref()).await?;
    let here = api.local_addr()?;
    let dashboard = match &args.public_url {
        Some(url) => url.to_string(),
        None => format!("http://{}", reachable(here)),
    };
    let listening = Listening {
        api: here,
        dashboard: (!args.no_dashboard).then_some(dashboard),
        ops: ops.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    Ok((Listeners { api, ops }, listening))
}

/// An address that was asked for must be had; the default one gives way, so that two servers can run without
/// a word about their second listeners.
async fn bind_ops(address: Option<&OpsAddress>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(OpsAddress::Off) => Ok(None),
        Some(OpsAddress::At(address)) => {
            let listener = address.bind().await;
            listener.map(Some).with_context(|| {
                format!("can't listen on {address}; choose another address with --ops-listen, or 'off'")
            })
        }
        None => match TcpListener::bind(OPS_LISTEN).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(%error, "{OPS_LISTEN} is taken; health and metrics are served on a free port instead");
                Ok(Some(TcpListener::bind("127.0.0.1:0").await?))
            }
        },
    }
}

/// An empty store gets a workspace, an app and a key with all permissions.
async fn create_first(store: &dyn Administration) -> anyhow::Result<Option<FirstKey>> {
    if !store.catalog().workspaces().is_empty() {
        return Ok(None);
    }
    let Ok(secret) = KeySecret::generate() else {
        bail!("the operating system gives no random bytes to make an API key of");
    };
    let first = FirstKey {
        workspace: WorkspaceId::random(),
        app: AppId::random(),
        key: KeyId::random(),
        secret,
    };
    let workspace = NewWorkspace {
        id: first.workspace,
        name: "default".parse()?,
        time_zone: "UTC".into(),
    };
    let app = App {
        id: first.app,
        name: "default".parse()?,
        platform: String::new(),
    };
    let key = NewKey {
        id: first.key,
        name: "default".parse()?,
        hash: first.secret.hash(),
        permissions: Permissions::All,
        allow: Vec::new(),
    };
    let created = store.change(Change::First(workspace, app, key)).await?;
    // Else another process that shares the store was faster; it shows the key.
    Ok(created.then_some(first))
}

/// A link into the dashboard, where somebody looks at what is printed: what else is printed may be kept in a journal.
async fn link_to_show(store: &dyn Store, listening: &Listening, globals: &Globals) -> Option<String> {
    let address = listening.dashboard.as_deref()?;
    if globals.json || !std::io::stdout().is_terminal() {
        return None;
    }
    let link = link_at(store, address).await;
    link.inspect_err(|error| tracing::warn!(%error, "can't make a link into the dashboard"))
        .ok()
}

fn announce(
    listening: &Listening,
    link: Option<&str>,
    first: Option<&FirstKey>,
    globals: &Globals,
) -> anyhow::Result<()> {
    let place = globals.whole_place();
    if globals.json {
        print_json(&announcement_json(listening, first, &place))
    } else {
        print_line(&announcement(listening, link, first, &place))
    }
}

fn announcement_json(listening: &Listening, first: Option<&FirstKey>, place: &str) -> serde_json::Value {
    serde_json::json!({
        "listen": listening.api.to_string(),
        "ops_listen": listening.ops.map(|ops| ops.to_string()),
        "dashboard": listening.dashboard,
        "store": place,
        "workspace_id": first.map(|first| first.workspace),
        "app_id": first.map(|first| first.app),
        "key": first.map(|first| first.secret.reveal()),
    })
}

fn announcement(listening: &Listening, link: Option<&str>, first: Option<&FirstKey>, place: &str) -> String {
    let api = reachable(listening.api);
    let mut text = format!("sessionmeter listens on http://{api} (reference: http://{api}/reference)");
    if let Some(ops) = listening.ops.map(reachable) {
        text.push_str(&format!("\nhealth and metrics: http://{ops}/metrics"));
    }
    match (&listening.dashboard, link) {
        (_, Some(link)) => text.push_str(&format!("\ndashboard: {link} (opens once, within ten minutes)")),
        (Some(address), None) => text.push_str(&format!(
            "\ndashboard: {address} ('sessionmeter dashboard link' prints a way in)"
        )),
        (None, None) => {}
    }
    text.push_str(&format!("\nstore: {place}"));
    if let Some(FirstKey {
        workspace,
        app,
        secret,
        ..
    }) = first
    {
        let key = secret.reveal();
        text.push_str(&format!(
            "\n\nThe store was empty, so it got a workspace, an app and an API key. The key is shown this once:\n\
             \n  workspace  default  {workspace}\n  app        default  {app}\n  key        default  {key}\n\
             \nRecord a session:\n\
             \n  curl http://{api}/sessions/track -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\
             \n    -d '{{\"sessions\":[{{\"app_id\":\"{app}\",\"session_id\":\"first\",\"started_at\":\"'$(date -u +%FT%TZ)'\"}}]}}'\n\
             \nCount:\n\
             \n  curl 'http://{api}/sessions/data_series?length=7' -H 'Authorization: Bearer {key}'\n"
        ));
    }
    text
}
