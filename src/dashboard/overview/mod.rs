//! The overview: one question, its figures, its chart and its tables; and the chart, the series and the live figure on their
//! own.
//!
//! `asked` reads the address, `numbers` asks the store, `page` and its parts write HTML.

mod asked;
mod charts;
mod controls;
mod figures;
mod groups;
mod heat;
mod numbers;
mod page;
mod subject;
mod tables;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{IF_NONE_MATCH, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use maud::{Markup, html};

pub(super) use self::asked::Asked;
pub(super) use self::charts::{chart, legend};
pub(super) use self::groups::written;
pub(super) use self::numbers::Desk;
use self::numbers::Numbers;
pub(super) use self::page::{View, change, period, said};
pub(super) use self::subject::Subject;
pub(super) use self::tables::units;
use super::chart::{Form, Frame, draw};
use super::cookies::{self, Purpose};
use super::guest::Asking;
use super::shell::{Here, Inside, Shell, other};
use super::token::Token;
use super::visitors::Visitor;
use super::{Dashboard, accounts, apps, dates, entrance, respond, segments, start, store};
use crate::api::sessions_query::csv;
use crate::api::{ApiError, Query};
use crate::count::QuestionError;
use crate::model::Millis;
use crate::series::{EndingAt, Step};
use crate::store::{Catalog, StoreError, WorkspaceEntry};

const HOME: &str = "/";

/// A question of somebody who is in.
pub(super) struct Ready {
    pub(super) asking: Asking,
    pub(super) token: Token,
    pub(super) visitor: Visitor,
    /// To be sent with the answer.
    pub(super) cookie: Option<HeaderValue>,
    pub(super) catalog: Arc<Catalog>,
    pub(super) workspace: Arc<WorkspaceEntry>,
}

/// `GET /`
pub(super) async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let ready = match ready(&dashboard, &parts, HOME).await {
        Ok(ready) => ready,
        Err(answer) => return answer,
    };
    let cookie = ready.cookie.clone();
    let response = overview(&dashboard, &ready, &parts).await;
    respond::with(response, SET_COOKIE, cookie)
}

async fn overview(dashboard: &Dashboard, ready: &Ready, parts: &Parts) -> Response<Body> {
    let asking = &ready.asking;
    let asked = match asked_of(dashboard, ready, parts).await {
        Ok(asked) => asked,
        Err(error) => return not_understood(ready, &error),
    };
    if let Some(language) = asking.chosen {
        let cookie = cookies::set_language(&asking.place, language);
        return respond::with(respond::see(&asked.link(HOME)), SET_COOKIE, cookie);
    }
    let now = dashboard.now();
    let runs = ends_today(&asked, now);
    if runs || is_loose(parts.uri.query()) {
        let tidy = if runs { asked.ending(None) } else { asked };
        return respond::see(&tidy.link(HOME));
    }
    let subject = match Subject::of(&asked) {
        Ok(subject) => subject,
        Err(error) => return not_understood(ready, &ApiError::bad_request(format!("'filter': {error}"))),
    };
    let Some(_turn) = dashboard.turn().await else {
        return asking.busy();
    };
    let desk = desk(dashboard, &asked, &subject, now);
    let live = async { Ok(subject.live(dashboard.store(), now.div_euclid(1000)).await?) };
    match tokio::try_join!(desk.ask(), live) {
        Ok((numbers, _))
            if numbers.first.is_none() && numbers.figures.sessions == 0 && is_about_all(&asked) =>
        {
            let begun = start::page(dashboard, ready, &asked, Here::Overview).await;
            begun.unwrap_or_else(|error| asking.store_failed(&error))
        }
        Ok((numbers, live)) => {
            let live = live_text(asking, &asked, live);
            let view = view(ready, &asked, &numbers, now, &live);
            let title = page::metric_name(asked.metric, asking.texts);
            whole(
                ready,
                &asked,
                (Here::Overview, title),
                StatusCode::OK,
                None,
                page::page(view),
            )
        }
        Err(error) => no_answer(ready, &asked, error),
    }
}

/// Whether nothing of the workspace is left out, so that there is no session where none is found.
fn is_about_all(asked: &Asked) -> bool {
    asked.app.is_none() && asked.segment.is_none() && asked.filter.is_none()
}

fn desk<'a>(dashboard: &'a Dashboard, asked: &'a Asked, subject: &'a Subject, now: Millis) -> Desk<'a> {
    Desk {
        counter: dashboard.counter(),
        store: dashboard.shared_store(),
        asked,
        subject,
        now,
    }
}

/// Says why there are no numbers.
fn no_answer(ready: &Ready, asked: &Asked, error: QuestionError) -> Response<Body> {
    match error {
        QuestionError::Store(StoreError::Counting(percent)) => being_counted(ready, asked, percent),
        QuestionError::Store(error) => ready.asking.store_failed(&error),
        error => not_understood(ready, &ApiError::bad_request(error.to_string())),
    }
}

/// `GET /ui/chart.svg`
pub(super) async fn picture_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    part(
        &dashboard,
        request,
        "/ui/chart.svg",
        async |ready, asked, subject| {
            let now = dashboard.now();
            let numbers = desk(&dashboard, asked, subject, now).ask().await?;
            let chart = chart(view(ready, asked, &numbers, now, ""));
            let locale = ready.asking.locale;
            let frame = Frame {
                chart: &chart,
                locale,
            };
            Ok(respond::picture(draw(frame, Form::File, "").into_string()))
        },
    )
    .await
}

/// `GET /ui/series.csv`
pub(super) async fn csv_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    part(
        &dashboard,
        request,
        "/ui/series.csv",
        async |_, asked, subject| {
            let (answer, name) = desk(&dashboard, asked, subject, dashboard.now()).table().await?;
            Ok(respond::csv(csv::body(&answer, name)))
        },
    )
    .await
}

/// `GET /ui/live`
pub(super) async fn live_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    part(&dashboard, request, "/ui/live", async |ready, asked, subject| {
        let now = dashboard.now().div_euclid(1000);
        let live = subject.live(dashboard.store(), now).await?;
        let text = serde_json::json!({ "text": live_text(&ready.asking, asked, live) });
        Ok(respond::unless_known(known.as_ref(), &text))
    })
    .await
}

/// What belongs to a page and is asked for by it.
async fn part(
    dashboard: &Dashboard,
    request: Request<Body>,
    path: &str,
    make: impl AsyncFnOnce(&Ready, &Asked, &Subject) -> Result<Response<Body>, QuestionError>,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let ready = match ready(dashboard, &parts, path).await {
        Ok(ready) => ready,
        Err(answer) => return answer,
    };
    let asked = asked_of(dashboard, &ready, &parts).await;
    let prepared = asked.and_then(|asked| {
        let subject = Subject::of(&asked);
        let subject = subject.map_err(|error| ApiError::bad_request(format!("'filter': {error}")))?;
        Ok((asked, subject))
    });
    let (asked, subject) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return not_understood(&ready, &error),
    };
    let Some(_turn) = dashboard.turn().await else {
        return ready.asking.busy();
    };
    match make(&ready, &asked, &subject).await {
        Ok(response) => response,
        Err(error) => no_answer(&ready, &asked, error),
    }
}

/// Who asks, if they are in, and about which workspace.
pub(super) async fn ready(dashboard: &Dashboard, parts: &Parts, path: &str) -> Result<Ready, Response<Body>> {
    let asking = dashboard.asking(parts)?;
    let now = dashboard.now();
    let sent = cookies::token(&asking.headers, &asking.place, Purpose::SignedIn);
    let known = dashboard.visitor(&asking).await;
    let known = known.map_err(|error| asking.store_failed(&error))?;
    let (token, visitor, cookie) = match sent.zip(known) {
        Some((token, visitor)) => (token, visitor, None),
        None if dashboard.settings().open => {
            let opened = dashboard.visitors().open(None, asking.agent(), now).await;
            let token = opened.map_err(|error| asking.store_failed(&error))?;
            let cookie = cookies::set(&asking.place, Purpose::SignedIn, &token);
            (token, Visitor::default(), cookie)
        }
        None => return Err(entrance::refuse(&asking, &parts.method, path, parts.uri.query())),
    };
    let named = Query::new(parts.uri.query())
        .all("workspace")
        .find(|name| !name.is_empty());
    let is_named = |entry: &WorkspaceEntry| match &named {
        None => true,
        Some(name) => entry.workspace.name.as_str() == name || entry.workspace.id.to_string() == **name,
    };
    // What a visitor may not see is not there for it.
    let find = |catalog: &Catalog| {
        let mut entries = catalog.workspaces().iter();
        let fits = |entry: &&Arc<WorkspaceEntry>| visitor.sees(entry.workspace.id) && is_named(entry);
        entries.find(fits).cloned()
    };
    let mut catalog = dashboard.store().catalog();
    if find(&catalog).is_none() {
        let looked = dashboard.store().refresh().await;
        looked.map_err(|error| asking.store_failed(&error))?;
        catalog = dashboard.store().catalog();
    }
    match find(&catalog) {
        Some(workspace) => Ok(Ready {
            asking,
            token,
            visitor: visitor.clone(),
            cookie,
            catalog,
            workspace,
        }),
        None => {
            let texts = asking.texts;
            let mut entries = catalog.workspaces().iter();
            if !entries.any(|entry| visitor.sees(entry.workspace.id)) {
                return Err(asking.nothing_to_see(&token));
            }
            let on = (HOME, texts.back_to_the_overview);
            Err(asking.saying(StatusCode::NOT_FOUND, texts.no_workspace, "", on))
        }
    }
}

/// What is asked; what is unknown is looked for once more before it is refused.
pub(super) async fn asked_of(dashboard: &Dashboard, ready: &Ready, parts: &Parts) -> Result<Asked, ApiError> {
    let query = Query::new(parts.uri.query());
    let first = Asked::read(&query, &ready.workspace, &ready.catalog);
    if first.is_ok() || dashboard.store().refresh().await.is_err() {
        return first;
    }
    let catalog = dashboard.store().catalog();
    let newest = catalog.workspace(ready.workspace.workspace.id);
    Asked::read(&query, newest.unwrap_or(&ready.workspace), &catalog)
}

/// Whether a form left something empty that an address need not have.
fn is_loose(query: Option<&str>) -> bool {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=')).any(|pair| match pair {
        None => true,
        Some((name, value)) => value.is_empty() || name == entrance::AGAIN,
    })
}

/// Whether an address names the running day, where it means the day that runs whenever somebody looks.
fn ends_today(asked: &Asked, now: Millis) -> bool {
    let by_date = matches!(&asked.ending_at, Some((_, EndingAt::Date(_))));
    let today = asked.workspace.zone.date_at(now.div_euclid(1000)).to_string();
    by_date && asked.step != Step::Hour && asked.ending_at.as_ref().is_some_and(|(text, _)| *text == today)
}

fn view<'a>(ready: &'a Ready, asked: &'a Asked, numbers: &'a Numbers, now: i64, live: &'a str) -> View<'a> {
    let asking = &ready.asking;
    View {
        asked,
        numbers,
        may_change: ready.visitor.may_change(),
        texts: asking.texts,
        locale: asking.locale,
        address: asking.place.address(),
        now: now.div_euclid(1000),
        live,
    }
}

fn live_text(asking: &Asking, asked: &Asked, (since, count): (i64, u64)) -> String {
    let offset = asked.workspace.zone.offset_at(since);
    (asking.texts.live)(&asking.locale.whole(count), &dates::clock(since, offset))
}

/// A page of somebody who is in.
pub(super) fn whole(
    ready: &Ready,
    asked: &Asked,
    (here, title): (Here, &str),
    status: StatusCode,
    refresh: Option<(u32, String)>,
    content: Markup,
) -> Response<Body> {
    let path = match here {
        Here::Overview => HOME,
        Here::Segments => segments::PATH,
        Here::Apps => apps::PATH,
        Here::Shares => "/ui/shares",
        Here::Account => accounts::OWN,
        Here::Store => store::PATH,
    };
    at(
        ready,
        asked,
        (here, title),
        &asked.link(path),
        status,
        refresh,
        content,
    )
}

/// The same where the address says more than what is asked. A language that the address chose is remembered.
pub(super) fn at(
    ready: &Ready,
    asked: &Asked,
    (here, title): (Here, &str),
    address: &str,
    status: StatusCode,
    refresh: Option<(u32, String)>,
    content: Markup,
) -> Response<Body> {
    let asking = &ready.asking;
    let form_token = match ready.token.form_token() {
        Ok(form_token) => form_token,
        Err(error) => return asking.store_failed(&error),
    };
    let entries = ready.catalog.workspaces().iter();
    let seen = entries.filter(|entry| ready.visitor.sees(entry.workspace.id));
    let workspaces = seen.filter_map(|entry| {
        let usual = Asked::usual(entry, &ready.catalog).ok()?;
        let shown = entry.workspace.id == ready.workspace.workspace.id;
        Some((entry.workspace.name.as_str(), usual.link(HOME), shown))
    });
    let usual = Asked::usual(&ready.workspace, &ready.catalog);
    let of_workspace = |path: &str| match &usual {
        Ok(usual) => usual.link(path),
        Err(_) => path.to_owned(),
    };
    let language = other(asking.locale.language).code();
    let separator = if address.contains('?') { '&' } else { '?' };
    let title = format!("{title} · {}", ready.workspace.workspace.name);
    let shell = Shell {
        locale: asking.locale,
        title: &title,
        inside: Some(Inside {
            workspaces: workspaces.collect(),
            translated: format!("{address}{separator}lang={language}"),
            overview: asked.link(HOME),
            segments: of_workspace(segments::PATH),
            apps: of_workspace(apps::PATH),
            store: ready.visitor.may_change().then(|| of_workspace(store::PATH)),
            shares: asked.link("/ui/shares"),
            here,
            name: ready
                .visitor
                .account
                .as_ref()
                .map(|account| account.name().as_str()),
            account: of_workspace(accounts::OWN),
            form_token: &form_token,
        }),
        refresh,
    };
    let chosen = asking
        .chosen
        .and_then(|language| cookies::set_language(&asking.place, language));
    respond::with(respond::html(status, shell.page(content)), SET_COOKIE, chosen)
}

/// What an address asks for can't be shown: says why, and shows the way to what can.
pub(super) fn not_understood(ready: &Ready, error: &ApiError) -> Response<Body> {
    let texts = ready.asking.texts;
    let usual = match Asked::usual(&ready.workspace, &ready.catalog) {
        Ok(usual) => usual,
        Err(_) => return ready.asking.busy(),
    };
    let content = html! {
        .heading { h1 { (texts.overview) } }
        .notice.bad role="alert" {
            p { strong { (texts.not_understood) } }
            p { bdi { (error.message()) } }
            p { a href=(usual.link(HOME)) { (texts.back_to_the_overview) } }
        }
        (controls::form(&usual, texts))
    };
    let title = (Here::Overview, texts.overview);
    whole(ready, &usual, title, StatusCode::BAD_REQUEST, None, content)
}

/// The work goes on; the page comes back by itself.
fn being_counted(ready: &Ready, asked: &Asked, percent: u64) -> Response<Body> {
    let texts = ready.asking.texts;
    let content = html! {
        (controls::form(asked, texts))
        section.card {
            .card-head { h2 { (texts.being_counted) } }
            progress max="100" value=(percent) aria-label=(texts.being_counted) {}
            p.muted role="status" { ((texts.being_counted_percent)(percent)) }
        }
    };
    let refresh = Some((2, asked.link(HOME)));
    let title = (Here::Overview, texts.being_counted);
    let mut response = whole(
        ready,
        asked,
        title,
        StatusCode::SERVICE_UNAVAILABLE,
        refresh,
        content,
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}
