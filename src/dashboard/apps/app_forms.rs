//! The forms that make an app, give it another name, and delete it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::PATH;
use crate::catalog::{Change, Refusal};
use crate::dashboard::forms::{Field, Problem};
use crate::dashboard::visit::{Answered, Visit, sent, shown, typed};
use crate::dashboard::{Dashboard, respond};
use crate::model::{App, AppId, Name, platform};
use crate::store::{Scope, StoreError, Whose, all_time};

pub(super) const NEW: &str = "/ui/apps/new";
pub(super) const RENAME: &str = "/ui/apps/rename";
pub(super) const DELETE: &str = "/ui/apps/delete";

const PLATFORMS: [&str; 3] = ["ios", "android", "web"];
/// How long a browser waits for an app with many sessions to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was typed about an app.
#[derive(Default)]
struct Typed {
    name: String,
    platform: String,
    id: String,
}

impl Typed {
    /// The app that it describes, or all that is wrong.
    fn read(&self) -> Result<App, Vec<Problem>> {
        let name = self.name.parse::<Name>();
        let platform = platform(&self.platform);
        let id = if self.id.is_empty() {
            Ok(AppId::random())
        } else {
            self.id.parse()
        };
        match (name, platform, id) {
            (Ok(name), Ok(platform), Ok(id)) => Ok(App { id, name, platform }),
            (name, platform, id) => {
                let name = name.err().map(|error| Problem::new("name", error));
                let platform = platform.err().map(|error| Problem::new("platform", error));
                let id = id.err().map(|error| Problem::new("id", error));
                Err([name, platform, id].into_iter().flatten().collect())
            }
        }
    }
}

/// `GET /ui/apps/new`
pub(super) async fn new_page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, NEW, async |visit, _| {
        new_form(visit, &Typed::default(), &[])
    })
    .await
}

/// `POST /ui/apps/new`
pub(super) async fn make(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, NEW, async |visit, _, form| {
        let typed = Typed {
            name: typed(form, "name"),
            platform: typed(form, "platform"),
            id: typed(form, "id"),
        };
        let app = match typed.read() {
            Ok(app) => app,
            Err(problems) => return new_form(visit, &typed, &problems),
        };
        let id_is_taken = Refusal::IdTaken(app.id.to_string()).to_string();
        let change = Change::CreateApp(visit.ready.workspace.workspace.id, app);
        match visit.dashboard.store().change(change).await {
            Ok(_) => Ok(respond::see(&visit.link(PATH))),
            Err(StoreError::Conflict(message)) => {
                let field = if message == id_is_taken { "id" } else { "name" };
                new_form(visit, &typed, &[Problem::new(field, message)])
            }
            Err(error) => Err(error),
        }
    })
    .await
}

fn new_form(visit: &Visit<'_>, typed: &Typed, problems: &[Problem]) -> Answered {
    let texts = visit.ready.asking.texts;
    let address = visit.link(NEW);
    let field = |name, label, hint| Field {
        name,
        label,
        hint,
        problems,
    };
    let fields = html! {
        (field("name", texts.name, "").text(&typed.name, &[]))
        (field("platform", texts.platform, texts.apps.platform_hint).text(&typed.platform, &PLATFORMS))
        (field("id", texts.apps.id, texts.apps.id_hint).text(&typed.id, &[]))
        (visit.buttons((texts.apps.make_app, "primary"), PATH))
    };
    let title = texts.apps.new_app;
    visit.form_page((title, &address), html! { (title) }, problems, fields)
}

/// `GET /ui/apps/rename`
pub(super) async fn rename_page(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    shown(&dashboard, request, RENAME, async |visit, _| {
        let Some(app) = visit.asked.chosen_app() else {
            return Ok(no_such_app(visit));
        };
        rename_form(visit, app, app.name.as_str(), &[])
    })
    .await
}

/// `POST /ui/apps/rename`
pub(super) async fn rename(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, RENAME, async |visit, _, form| {
        let Some(app) = visit.asked.chosen_app() else {
            return Ok(no_such_app(visit));
        };
        let typed = typed(form, "name");
        let problem = match typed.parse::<Name>() {
            Err(error) => error.to_string(),
            Ok(name) => match visit
                .dashboard
                .store()
                .change(Change::RenameApp(app.id, name))
                .await
            {
                Ok(_) => return Ok(respond::see(&visit.link(PATH))),
                Err(StoreError::Conflict(message)) => message,
                Err(StoreError::NotFound(_)) => return Ok(no_such_app(visit)),
                Err(error) => return Err(error),
            },
        };
        rename_form(visit, app, &typed, &[Problem::new("name", problem)])
    })
    .await
}

fn rename_form(visit: &Visit<'_>, app: &App, name: &str, problems: &[Problem]) -> Answered {
    let texts = visit.ready.asking.texts;
    let address = visit.asked.link(RENAME);
    let field = Field {
        name: "name",
        label: texts.apps.new_name,
        hint: "",
        problems,
    };
    let fields = html! {
        (field.text(name, &[]))
        (visit.buttons((texts.apps.rename, "primary"), PATH))
    };
    let title = texts.apps.rename_app;
    visit.form_page((title, &address), heading(title, app), problems, fields)
}

/// `GET /ui/apps/delete`: says what goes with it, and changes nothing.
pub(super) async fn delete_page(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    shown(&dashboard, request, DELETE, async |visit, _| {
        let Some(app) = visit.asked.chosen_app() else {
            return Ok(no_such_app(visit));
        };
        let asking = &visit.ready.asking;
        let texts = asking.texts;
        let Some(_turn) = visit.dashboard.turn().await else {
            return Ok(asking.busy());
        };
        let (first, last) = all_time();
        let scope = Scope::App(app.id);
        let said = match visit.count(scope, Whose::Everyone, &[first, last]).await? {
            Some(counts) => {
                let sessions: u64 = counts.into_iter().sum();
                (texts.apps.goes_with_it)(&asking.locale.whole(sessions), sessions == 1)
            }
            None => texts.apps.goes_with_it_uncounted.to_owned(),
        };
        let address = visit.asked.link(DELETE);
        let form = visit.form(
            &address,
            visit.buttons((texts.apps.delete_for_good, "danger"), PATH),
        )?;
        let content = html! {
            .heading { h1 { (heading(texts.apps.delete_app, app)) } }
            section.card.confirm {
                p { strong { (said) } }
                p { (texts.apps.deleting_is_final) }
                p.muted { (texts.apps.id) ": " code { (app.id) } }
                (form)
            }
        };
        Ok(visit.page(StatusCode::OK, (texts.apps.delete_app, &address), content))
    })
    .await
}

/// `POST /ui/apps/delete`
pub(super) async fn delete(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, DELETE, async |visit, _, _| {
        let Some(app) = visit.asked.chosen_app() else {
            return Ok(no_such_app(visit));
        };
        let (store, id) = (visit.dashboard.shared_store().clone(), app.id);
        // A task of its own: a browser that is closed does not stop it halfway.
        let deleting = tokio::spawn(async move {
            let deleted = store.change(Change::DeleteApp(id)).await;
            if let Err(error) = &deleted {
                tracing::warn!(%error, app = %id, "an app could not be deleted");
            }
            deleted
        });
        let on = visit.link(PATH);
        match tokio::time::timeout(PATIENCE, deleting).await {
            // Somebody else may have deleted it meanwhile.
            Ok(Ok(Ok(_) | Err(StoreError::NotFound(_)))) => Ok(respond::see(&on)),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(_) => {
                let texts = visit.ready.asking.texts;
                let on = (on.as_str(), texts.apps.title);
                let asking = &visit.ready.asking;
                Ok(asking.saying(StatusCode::ACCEPTED, texts.apps.being_deleted, "", on))
            }
        }
    })
    .await
}

fn no_such_app(visit: &Visit<'_>) -> Response<Body> {
    visit.unknown(visit.ready.asking.texts.apps.no_such_app)
}

fn heading(what: &str, app: &App) -> Markup {
    html! { (what) ": " bdi { (app.name) } }
}
