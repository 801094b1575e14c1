//! `/ui/start`: how sessions are recorded, with the real ids and the real address, until the first one is here; and what was
//! refused meanwhile. An empty workspace shows it in the place of its overview.

mod first;
mod page;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::IF_NONE_MATCH;
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;

use self::first::{FEW, First, first_session};
use self::page::{Key, page_with};
use super::Dashboard;
use super::apps::key_forms::new_key;
use super::dates;
use super::forms::Problem;
use super::overview::{Asked, Ready};
use super::respond;
use super::shell::Here;
use super::visit::{Answered, sent, shown, typed};
use crate::catalog::{Change, WorkspaceEntry};
use crate::model::{App, Millis, Name, Permission, Permissions};
use crate::series::Zone;
use crate::store::{Scope, StoreError, Whose, all_time};

/// This page.
pub(super) const PATH: &str = "/ui/start";
/// What it asks for again and again.
pub(super) const LIVE: &str = "/ui/start/live";
/// Refusals that are told.
const TOLD: usize = 8;
/// What the key is called that is made here, unless somebody calls it something else.
const KEY_NAME: &str = "getting-started";

pub(super) fn routes() -> Router<Dashboard> {
    Router::new()
        .route(PATH, get(page_of).post(make_key))
        .route(LIVE, get(live_of))
}

/// `GET /ui/start`
async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, PATH, async |visit, _| {
        let Some(_turn) = visit.dashboard.turn().await else {
            return Ok(visit.ready.asking.busy());
        };
        page(visit.dashboard, &visit.ready, &visit.asked, Here::Apps).await
    })
    .await
}

/// The page of what is asked, under the address of another one if need be.
pub(super) async fn page(dashboard: &Dashboard, ready: &Ready, asked: &Asked, here: Here) -> Answered {
    let name = free_name(&asked.workspace);
    let progress = Progress::of(dashboard, ready, asked).await?;
    page_with(
        ready,
        asked,
        here,
        (StatusCode::OK, &progress),
        &Key::Wanted(&name, &[]),
    )
}

/// `POST /ui/start`: makes a key, and shows it this once. Sent again, its name is taken.
async fn make_key(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, PATH, async |visit, _, form| {
        let (ready, asked) = (&visit.ready, &visit.asked);
        let typed = typed(form, "name");
        let progress = Progress::of(visit.dashboard, ready, asked).await?;
        let refused = |message: String| {
            let problems = [Problem::new("name", message)];
            let key = Key::Wanted(&typed, &problems);
            page_with(
                ready,
                asked,
                Here::Apps,
                (StatusCode::BAD_REQUEST, &progress),
                &key,
            )
        };
        let name: Name = match typed.parse() {
            Ok(name) => name,
            Err(error) => return refused(format!("{error}")),
        };
        let permissions = vec![Permission::SessionsDataSeries, Permission::SessionsTrack];
        let (new, secret) = new_key(name, Permissions::Only(permissions), Vec::new())?;
        let change = Change::CreateKey(ready.workspace.workspace.id, new);
        match visit.dashboard.store().change(change).await {
            Ok(_) => {
                let key = Key::Made(&secret);
                page_with(ready, asked, Here::Apps, (StatusCode::OK, &progress), &key)
            }
            Err(StoreError::Conflict(message)) => refused(message),
            Err(error) => Err(error),
        }
    })
    .await
}

/// `GET /ui/start/live`
async fn live_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    shown(&dashboard, request, LIVE, async |visit, _| {
        let Some(_turn) = visit.dashboard.turn().await else {
            return Ok(visit.ready.asking.busy());
        };
        let progress = Progress::of(visit.dashboard, &visit.ready, &visit.asked).await?;
        let told =
            serde_json::json!({ "text": progress.text, "rows": progress.refused, "done": progress.is_done });
        Ok(respond::unless_known(known.as_ref(), &told))
    })
    .await
}

/// The app that the page is about: the one that is asked for, or the oldest.
fn app(asked: &Asked) -> Option<&App> {
    asked.chosen_app().or_else(|| asked.workspace.apps.first())
}

/// How far somebody has come, in words.
struct Progress {
    text: String,
    is_done: bool,
    /// A line for each thing that was refused of late.
    refused: Vec<String>,
}

impl Progress {
    async fn of(dashboard: &Dashboard, ready: &Ready, asked: &Asked) -> Result<Self, StoreError> {
        let texts = ready.asking.texts;
        let Some(app) = app(asked) else {
            return Ok(Self {
                text: texts.apps.no_app.to_owned(),
                is_done: false,
                refused: Vec::new(),
            });
        };
        let workspace = ready.workspace.workspace.id;
        let (first, last) = all_time();
        let counted = dashboard
            .store()
            .count(Scope::App(app.id), Whose::Everyone, &[first, last])
            .await;
        // A name that is written from right to left must not turn the sentence around.
        let name = format!("\u{2068}{}\u{2069}", app.name);
        let (text, is_done) = match counted {
            Ok(counts) => match counts.iter().sum() {
                0 => ((texts.start.waiting)(&name), false),
                count => {
                    let sessions = ready.asking.locale.whole(count);
                    let mut text = (texts.start.arrived)(&name, &sessions, count == 1);
                    if count <= FEW
                        && let Some(first) = first_session(dashboard.store(), workspace, app.id).await?
                    {
                        text.push(' ');
                        text.push_str(&(texts.start.first_began)(&written(&first, ready)));
                    }
                    (text, true)
                }
            },
            Err(StoreError::Counting(_)) => (texts.start.counting.to_owned(), true),
            Err(error) => return Err(error),
        };
        Ok(Self {
            text,
            is_done,
            refused: refused(dashboard, ready),
        })
    }
}

/// `Wed 25 Nov 2026, 14:31:07 (web)`
fn written(first: &First, ready: &Ready) -> String {
    let moment = dates::moment(first.at, &ready.workspace.zone, ready.asking.texts);
    let moment = with_seconds(&moment, first.at);
    match &first.platform {
        Some(platform) => format!("{moment} ({platform})"),
        None => moment,
    }
}

/// What was refused of late, the newest first.
fn refused(dashboard: &Dashboard, ready: &Ready) -> Vec<String> {
    let (asking, workspace) = (&ready.asking, &ready.workspace);
    let recent = &dashboard.metrics().recent_refusals;
    let refusals = recent.of(workspace.workspace.id, dashboard.now());
    let lines = refusals.into_iter().take(TOLD).map(|refusal| {
        let what = refusal.what;
        let app = what.app.map(|app| format!(": {app}")).unwrap_or_default();
        format!(
            "{} × {}{app} (POST {}, {} {})",
            asking.locale.whole(refusal.count),
            what.reason,
            what.endpoint,
            asking.texts.start.last_at,
            time_of_day(refusal.last, &workspace.zone)
        )
    });
    lines.collect()
}

/// `14:31:07`
fn time_of_day(at: Millis, zone: &Zone) -> String {
    let second = at.div_euclid(1000);
    with_seconds(&dates::clock(second, zone.offset_at(second)), at)
}

/// A text that ends with hours and minutes, and the seconds as well.
fn with_seconds(text: &str, at: Millis) -> String {
    format!("{text}:{:02}", at.div_euclid(1000).rem_euclid(60))
}

/// A name that no key of the workspace has.
fn free_name(workspace: &WorkspaceEntry) -> String {
    let is_free = |name: &String| workspace.find_key(name).is_none();
    let others = (2..=workspace.keys.len() + 2).map(|nth| format!("{KEY_NAME}-{nth}"));
    let mut names = std::iter::once(KEY_NAME.to_owned()).chain(others);
    names.find(is_free).unwrap_or_else(|| KEY_NAME.to_owned())
}
