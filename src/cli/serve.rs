//! `serve`: the server over the embedded store.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use super::{Globals, values};
use crate::api::{ApiState, Listeners, Settings};
use crate::metrics::Metrics;
use crate::model::{App, AppId, KeyId, KeySecret, NewKey, NewWorkspace, Permissions, WorkspaceId};
use crate::record::Recorder;
use crate::store::{Role, Store, StoreError};

const LISTEN: &str = "127.0.0.1:8080";
const OPS_LISTEN: &str = "127.0.0.1:8081";
const OFF: &str = "off";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where and how to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Address of the API: IP and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "SESSIONMETER_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Address for health, readiness and metrics, or 'off' [default: 127.0.0.1:8081, or a free port if that is taken]
    #[arg(long, env = "SESSIONMETER_OPS_LISTEN", value_name = "ADDRESS")]
    pub ops_listen: Option<String>,

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
}

/// The addresses that are being served.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The API.
    pub api: SocketAddr,
    /// Health, readiness and metrics.
    pub ops: Option<SocketAddr>,
}

/// What an empty store gets, so that the first request can be made at once.
struct FirstKey {
    workspace: WorkspaceId,
    app: AppId,
    secret: KeySecret,
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// When the store can't be opened or an address can't be bound.
pub async fn run(args: ServeArgs, globals: &Globals) -> anyhow::Result<()> {
    let args = args.or_config(globals)?;
    start_logging(&args)?;
    let store = globals.open(Role::Server).await?;
    // Before the first key is made: it is shown only once, so nothing may fail any more.
    let bound = bind(&args).await?;
    let first = create_first(store.as_ref()).await?;
    let json = globals.json;
    serve_bound(store, args, bound, |listening| {
        announce(listening, first.as_ref(), json)
    })
    .await
}

/// Serves an open store until SIGTERM or SIGINT, then finishes what was accepted and closes the store.
/// `args` are complete: the config file was merged.
///
/// # Errors
/// When an address can't be bound or logging can't be set up.
pub async fn serve_store(
    store: Arc<dyn Store>,
    args: ServeArgs,
    announce: impl FnOnce(&Listening),
) -> anyhow::Result<()> {
    start_logging(&args)?;
    let bound = bind(&args).await?;
    serve_bound(store, args, bound, announce).await
}

async fn serve_bound(
    store: Arc<dyn Store>,
    args: ServeArgs,
    (listeners, listening): (Listeners, Listening),
    announce: impl FnOnce(&Listening),
) -> anyhow::Result<()> {
    let shutdown = shutdown_signal()?;
    let metrics = Arc::new(Metrics::new());
    let recorder = Recorder::start(store.clone(), metrics.clone());
    let settings = Settings {
        trusted_proxies: args.trusted_proxies,
        request_timeout: args
            .request_timeout
            .map_or(Settings::default().request_timeout, Duration::from_secs),
        client_rate_limit: args
            .client_rate_limit
            .unwrap_or(Settings::default().client_rate_limit),
    };
    let state = ApiState::new(store.clone(), recorder.clone(), metrics, settings);
    announce(&listening);
    crate::api::serve(listeners, state, shutdown).await;
    recorder.close().await;
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

impl ServeArgs {
    /// Fills what neither a flag nor the environment gave from the config file.
    pub(super) fn or_config(mut self, globals: &Globals) -> anyhow::Result<Self> {
        let config = &globals.config;
        if self.listen.is_none()
            && let Some(listen) = &config.listen
        {
            let address = listen
                .parse()
                .with_context(|| format!("listen = '{listen}' in the config file is no address"))?;
            self.listen = Some(address);
        }
        self.ops_listen = self.ops_listen.or_else(|| config.ops_listen.clone());
        self.log_format = self.log_format.or(config.log_format);
        self.log_level = self.log_level.or_else(|| config.log_level.clone());
        self.request_timeout = self.request_timeout.or(config.request_timeout);
        self.client_rate_limit = self.client_rate_limit.or(config.client_rate_limit);
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

fn start_logging(args: &ServeArgs) -> anyhow::Result<()> {
    let level = args.log_level.as_deref().unwrap_or("info");
    // The filter's syntax would take any word for the name of a module.
    let is_known = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    let filter = match level.split(',').all(is_known) {
        true => level.parse::<Targets>().ok(),
        false => None,
    };
    let filter = filter.with_context(|| {
        format!("'{level}' is no log level; use off, error, warn, info, debug or trace, or MODULE=LEVEL")
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match args.log_format.unwrap_or_default() {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .map_err(|error| anyhow::anyhow!("can't start logging: {error}"))
}

async fn bind(args: &ServeArgs) -> anyhow::Result<(Listeners, Listening)> {
    let listen = match args.listen {
        Some(address) => address,
        None => LISTEN.parse().context("the default address")?,
    };
    let api = TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}; choose another address with --listen"))?;
    let ops = bind_ops(args.ops_listen.as_deref()).await?;
    let listening = Listening {
        api: api.local_addr()?,
        ops: ops.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    Ok((Listeners { api, ops }, listening))
}

/// An address that was asked for must be had; the default one gives way, so that two servers can run without
/// a word about their second listeners.
async fn bind_ops(address: Option<&str>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(OFF) => Ok(None),
        Some(address) => {
            let listener = TcpListener::bind(address).await;
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

fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what was accepted");
    })
}

/// An empty store gets a workspace, an app and a key with all permissions.
async fn create_first(store: &dyn Store) -> anyhow::Result<Option<FirstKey>> {
    if !store.catalog().workspaces().is_empty() {
        return Ok(None);
    }
    let Ok(secret) = KeySecret::generate() else {
        bail!("the operating system gives no random bytes to make an API key of");
    };
    let first = FirstKey {
        workspace: WorkspaceId::random(),
        app: AppId::random(),
        secret,
    };
    let workspace = NewWorkspace {
        id: first.workspace,
        name: "default".parse()?,
        time_zone: "UTC".into(),
    };
    match store.create_workspace(workspace).await {
        // Another process that shares the store was faster; it shows the key.
        Err(StoreError::Conflict(_)) => return Ok(None),
        created => created?,
    };
    let app = App {
        id: first.app,
        name: "default".parse()?,
        platform: String::new(),
    };
    store.create_app(first.workspace, app).await?;
    let key = NewKey {
        id: KeyId::random(),
        name: "default".parse()?,
        hash: first.secret.hash(),
        permissions: Permissions::All,
        allow: Vec::new(),
    };
    store.create_key(first.workspace, key).await?;
    Ok(Some(first))
}

fn announce(listening: &Listening, first: Option<&FirstKey>, json: bool) {
    let text = if json {
        announcement_json(listening, first)
    } else {
        announcement(listening, first)
    };
    // Whoever started the server may have closed its output; that is no reason not to serve.
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn announcement_json(listening: &Listening, first: Option<&FirstKey>) -> String {
    serde_json::json!({
        "listen": listening.api.to_string(),
        "ops_listen": listening.ops.map(|ops| ops.to_string()),
        "workspace_id": first.map(|first| first.workspace),
        "app_id": first.map(|first| first.app),
        "key": first.map(|first| first.secret.reveal()),
    })
    .to_string()
}

fn announcement(listening: &Listening, first: Option<&FirstKey>) -> String {
    let api = listening.api;
    let mut text = format!("sessionmeter listens on http://{api} (reference: http://{api}/reference)");
    if let Some(ops) = listening.ops {
        text.push_str(&format!("\nhealth and metrics: http://{ops}/metrics"));
    }
    if let Some(FirstKey {
        workspace,
        app,
        secret,
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
