//! What handlers share. One a server; clones are handles.

use std::collections::HashMap;
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::http::Request;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::body::MemoryBudget;
use super::client_address::{self, Client, Peer};
use super::error::ApiError;
use super::rate_limit::RateLimiter;
use super::refusal::{self, Refused};
use super::single_flight::{Outcome, SingleFlight};
use crate::catalog::{Catalog, WorkspaceEntry};
use crate::collect::ItemError;
use crate::count::{Answer, Counter, Question, QuestionError};
use crate::metrics::{Metrics, RefusedRecording};
use crate::model::{AppId, KeyId, Millis, WorkspaceId};
use crate::record::Recorder;
use crate::store::{Store, now};

/// Refused sessions of one request that are remembered.
const REMEMBERED: usize = 100;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest a request may take, its arrival included.
    pub request_timeout: Duration,
    /// Requests that an address may send to the client endpoints in a minute; 0 = no limit.
    pub client_rate_limit: u64,
    /// Connections that an address may have at one time; 0 = no limit.
    pub connections_per_address: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            request_timeout: Duration::from_secs(60),
            client_rate_limit: 600,
            connections_per_address: 1_024,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    counter: Counter,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    settings: Settings,
    limiter: RateLimiter,
    memory: MemoryBudget,
    key_uses: Mutex<HashMap<KeyId, Millis>>,
    looks: SingleFlight,
    probes: SingleFlight,
    ignored_proxy: Once,
}

impl ApiState {
    /// Over an open store and a running recorder.
    pub fn new(store: Arc<dyn Store>, recorder: Recorder, metrics: Arc<Metrics>, settings: Settings) -> Self {
        metrics.show_refused_sessions(ItemError::fields());
        Self(Arc::new(Shared {
            store,
            counter: Counter::default(),
            recorder,
            metrics,
            settings,
            limiter: RateLimiter::default(),
            memory: MemoryBudget::default(),
            key_uses: Mutex::default(),
            looks: SingleFlight::default(),
            probes: SingleFlight::default(),
            ignored_proxy: Once::new(),
        }))
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }

    /// The answer to a question about a workspace, as of now.
    ///
    /// # Errors
    /// As [`Counter::answer`].
    pub(super) async fn count(
        &self,
        workspace: &WorkspaceEntry,
        question: &Question,
    ) -> Result<Arc<Answer>, QuestionError> {
        let now = now();
        self.0
            .counter
            .answer(&self.0.store, workspace, question, now)
            .await
    }

    /// What answers questions, for others that answer them as well.
    pub fn counter(&self) -> Counter {
        self.0.counter.clone()
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Counts sessions of a body that were refused.
    pub(super) fn note_refused(&self, refused: &[(usize, ItemError)]) {
        for (_, error) in refused {
            self.metrics().refused_session(error.field());
        }
    }

    /// Remembers for a while that a request to record was refused as a whole.
    pub(super) fn note_refused_request(
        &self,
        endpoint: &str,
        workspace: Option<WorkspaceId>,
        refused: &Refused,
    ) {
        self.remember(endpoint, workspace, refused.told());
    }

    /// The same of sessions of a request whose others were recorded.
    pub(super) fn note_refused_items(
        &self,
        endpoint: &str,
        workspace: Option<WorkspaceId>,
        refused: &[(usize, ItemError)],
    ) {
        for (_, error) in refused.iter().take(REMEMBERED) {
            self.remember(endpoint, workspace, refusal::told(&error.to_string()));
        }
    }

    fn remember(
        &self,
        endpoint: &str,
        workspace: Option<WorkspaceId>,
        (reason, app): (String, Option<AppId>),
    ) {
        let what = RefusedRecording {
            workspace,
            endpoint: endpoint.to_owned(),
            reason,
            app,
        };
        let now = now();
        self.metrics().recent_refusals.note(what, now);
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn limiter(&self) -> &RateLimiter {
        &self.0.limiter
    }

    pub(super) fn memory(&self) -> &MemoryBudget {
        &self.0.memory
    }

    /// The catalog with everything that commands and other processes had made when this was called. Asked for before
    /// anything is refused as unknown; forty looks a second serve everybody who guesses.
    ///
    /// # Errors
    /// 503 if the store can't be asked: what is unknown now may be known.
    pub(super) async fn newest(&self) -> Result<Arc<Catalog>, ApiError> {
        let looked = self.0.looks.run(self.0.store.refresh()).await;
        match looked {
            Ok(()) => Ok(self.0.store.catalog()),
            Err(error) => {
                tracing::warn!(%error, "can't look for changes by other processes");
                Err(ApiError::unavailable())
            }
        }
    }

    /// The same of one workspace, which stays as it is known if it is gone.
    ///
    /// # Errors
    /// As [`ApiState::newest`].
    pub(super) async fn newest_of(
        &self,
        workspace: &Arc<WorkspaceEntry>,
    ) -> Result<Arc<WorkspaceEntry>, ApiError> {
        let catalog = self.newest().await?;
        let found = catalog.workspace(workspace.workspace.id);
        Ok(found.unwrap_or(workspace).clone())
    }

    /// Reads a body over the catalog that is known, and once more over the newest one where that lacks what the body names.
    /// For threads that may wait, such as those that parse bodies.
    ///
    /// # Errors
    /// As [`ApiState::newest`].
    pub(super) fn read_over<T>(
        &self,
        catalog: &Arc<Catalog>,
        read: impl Fn(&Catalog) -> T,
        lacks_something: impl Fn(&T) -> bool,
    ) -> Result<T, ApiError> {
        let first = read(catalog);
        if !lacks_something(&first) {
            return Ok(first);
        }
        let newest = tokio::runtime::Handle::current().block_on(self.newest())?;
        if Arc::ptr_eq(catalog, &newest) {
            Ok(first)
        } else {
            Ok(read(&newest))
        }
    }

    /// Whether the store answers. However many ask, one connection at a time is used for it.
    pub(super) async fn ready(&self) -> Outcome {
        self.0.probes.run(self.0.store.ready()).await
    }

    /// Whose request this is; `None` for one that came over no connection. A proxy that nobody trusts is logged once: all
    /// its clients would share one limit, and allow-lists would refuse them.
    pub(super) fn client<B>(&self, request: &Request<B>) -> Option<Client> {
        let peer = *request.extensions().get::<Peer>()?;
        let (headers, trusted) = (request.headers(), &self.0.settings.trusted_proxies);
        if let Some(proxy) = client_address::ignored(peer, headers, trusted) {
            self.0.ignored_proxy.call_once(|| {
                tracing::warn!(
                    "X-Forwarded-For from {proxy} is ignored, since {proxy} is no trusted proxy; if it is your reverse proxy, \
                     start the server with --trusted-proxies {proxy}"
                );
            });
        }
        Some(client_address::client(peer, headers, trusted))
    }

    pub(super) fn note_key_use(&self, key: KeyId, now: Millis) {
        self.0.key_uses.lock().insert(key, now);
    }

    /// Writes to the store when keys were used since the last call. Called every few seconds and at the end.
    pub async fn flush_key_uses(&self) {
        let uses: Vec<_> = std::mem::take(&mut *self.0.key_uses.lock()).into_iter().collect();
        if uses.is_empty() {
            return;
        }
        if let Err(error) = self.0.store.note_key_use(uses).await {
            tracing::warn!(%error, "can't note when keys were used");
        }
    }
}
