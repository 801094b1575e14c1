//! What handlers share. One a server; clones are handles.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use parking_lot::Mutex;

use super::body::MemoryBudget;
use super::rate_limit::RateLimiter;
use crate::metrics::Metrics;
use crate::model::{KeyId, Millis};
use crate::record::Recorder;
use crate::store::Store;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The longest a request may take, its arrival included.
    pub request_timeout: Duration,
    /// Requests that an address may send to the client endpoints in a minute; 0 = no limit.
    pub client_rate_limit: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            request_timeout: Duration::from_secs(60),
            client_rate_limit: 600,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct ApiState(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    recorder: Recorder,
    metrics: Arc<Metrics>,
    settings: Settings,
    limiter: RateLimiter,
    memory: MemoryBudget,
    key_uses: Mutex<HashMap<KeyId, Millis>>,
}

impl ApiState {
    /// Over an open store and a running recorder.
    pub fn new(store: Arc<dyn Store>, recorder: Recorder, metrics: Arc<Metrics>, settings: Settings) -> Self {
        Self(Arc::new(Shared {
            store,
            recorder,
            metrics,
            settings,
            limiter: RateLimiter::default(),
            memory: MemoryBudget::default(),
            key_uses: Mutex::default(),
        }))
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
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
