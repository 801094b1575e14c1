//! The dashboard: pages for people, made on the server.
//!
//! [`router`] has all of them. `visitors` knows who is in, `rights` what they may, `guest` who asks, `entrance` how to get in and
//! `accounts` who has a name and a password; `shell` is the frame
//! of every page, `texts`, `locale` and `dates` say things in its reader's words, `chart` draws, `forms` has what forms share,
//! `overview` is the first page, `shares` shows one to others, `apps` has what delivers sessions and who may ask for
//! numbers, `store` says how the store is doing, and `start` how to begin. Nothing here counts: the store does, and the API asks it the same questions.

mod accounts;
mod apps;
mod assets;
mod chart;
mod cookies;
mod dates;
mod entrance;
mod forgery;
mod forms;
mod guest;
mod locale;
mod overview;
mod place;
mod respond;
mod rights;
mod segments;
mod shares;
mod shell;
mod start;
mod store;
mod texts;
mod token;
mod visit;
mod visitors;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use ipnet::IpNet;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::accounts::{
    Account, Password, PasswordError, Rights, SaveError, add as add_account, find as find_account,
    list as list_accounts, remove as remove_account, set_password,
};
pub use self::place::{PublicUrl, PublicUrlError};
pub use self::shares::{Share, list as list_shares, revoke as revoke_share};
pub use self::store::Whereabouts;
pub use self::token::Token;
pub use self::visitors::make_link;

use self::accounts::{Attempts, Hasher};
use self::visitors::Visitors;
use crate::count::Counter;
use crate::metrics::Metrics;
use crate::model::Millis;
use crate::store::Store;

/// Pages that are made at one time. They share the store with the API, and are no export: they draw on nobody's budget.
const MAX_PAGES: usize = 16;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an operator may set.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Under which address people reach it.
    pub public_url: Option<PublicUrl>,
    /// Proxies that are believed what they say about a request.
    pub trusted_proxies: Vec<IpNet>,
    /// Whoever asks is signed in at once: for a store of made-up sessions.
    pub open: bool,
}

/// What pages share. Clones are handles.
#[derive(Clone)]
struct Dashboard(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    counter: Counter,
    settings: Settings,
    whereabouts: Whereabouts,
    visitors: Visitors,
    metrics: Arc<Metrics>,
    turns: Semaphore,
    hasher: Hasher,
    attempts: Attempts,
}

impl Dashboard {
    fn store(&self) -> &dyn Store {
        self.0.store.as_ref()
    }

    fn shared_store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    fn counter(&self) -> &Counter {
        &self.0.counter
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn whereabouts(&self) -> &Whereabouts {
        &self.0.whereabouts
    }

    fn visitors(&self) -> &Visitors {
        &self.0.visitors
    }

    /// Compares passwords.
    fn hasher(&self) -> &Hasher {
        &self.0.hasher
    }

    /// What was tried of late.
    fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    fn now(&self) -> Millis {
        crate::store::now()
    }

    /// A turn to make a page; `None`: too many are being made.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = tokio::time::timeout(PATIENCE, self.0.turns.acquire()).await;
        turn.ok().and_then(Result::ok)
    }
}

/// All pages, over an open store, which is where `whereabouts` says; `counter` is the one that the API asks as well, and
/// `metrics` are what it notes.
pub fn router(
    store: Arc<dyn Store>,
    counter: Counter,
    metrics: Arc<Metrics>,
    settings: Settings,
    whereabouts: Whereabouts,
) -> Router {
    let dashboard = Dashboard(Arc::new(Shared {
        visitors: Visitors::new(store.clone()),
        store,
        counter,
        settings,
        whereabouts,
        metrics,
        turns: Semaphore::new(MAX_PAGES),
        hasher: Hasher::default(),
        attempts: Attempts::default(),
    }));
    Router::new()
        .route("/", get(overview::page_of))
        .route("/ui/chart.svg", get(overview::picture_of))
        .route("/ui/series.csv", get(overview::csv_of))
        .route("/ui/live", get(overview::live_of))
        .route("/ui/shares", get(shares::managing_page_of).post(shares::change))
        .merge(accounts::routes())
        .merge(apps::routes())
        .merge(segments::routes())
        .merge(start::routes())
        .merge(store::routes())
        .route("/share/{token}", get(shares::shown_page_of))
        .route("/ui/sign-out", post(entrance::sign_out))
        .route("/ui/enter", get(entrance::show_link).post(entrance::enter))
        .route("/ui/a/{hash}/{name}", get(assets::asset))
        .route("/ui", get(nothing_here))
        .route("/ui/{*path}", get(nothing_here))
        .layer(from_fn_with_state(dashboard.clone(), rights::guard))
        .with_state(dashboard)
}

async fn nothing_here(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, _) = request.into_parts();
    match dashboard.asking(&parts) {
        Err(answer) => answer,
        Ok(asking) => {
            let texts = asking.texts;
            let on = ("/", texts.back_to_the_overview);
            asking.saying(StatusCode::NOT_FOUND, texts.nothing_here, "", on)
        }
    }
}
