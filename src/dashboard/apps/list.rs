//! The list of apps, with how many sessions they have, and of keys, with when they were used.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::{PATH, app_forms, key_forms};
use crate::count::preview_window;
use crate::dashboard::Dashboard;
use crate::dashboard::start::PATH as START;
use crate::dashboard::visit::{Answered, Visit, shown};
use crate::model::{ApiKey, App, AppId};
use crate::series::Window;
use crate::store::{Scope, StoreError, Whose};

/// `GET /ui/apps`
pub(super) async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, PATH, async |visit, _| page(visit).await).await
}

async fn page(visit: &Visit<'_>) -> Answered {
    let asking = &visit.ready.asking;
    let texts = asking.texts;
    let Some(_turn) = visit.dashboard.turn().await else {
        return Ok(asking.busy());
    };
    let workspace = &visit.ready.workspace;
    let window = preview_window(workspace, visit.dashboard.now());
    let mut apps = Vec::with_capacity(workspace.apps.len());
    for app in &workspace.apps {
        apps.push((app, sessions(visit, app.id, &window).await?));
    }
    let is_live = |key: &&ApiKey| !key.revoked;
    let live: Vec<&ApiKey> = workspace.keys.iter().filter(is_live).collect();
    let revoked: Vec<&ApiKey> = workspace.keys.iter().filter(|key| key.revoked).collect();
    let content = html! {
        .heading { h1 { (texts.apps.title) } p.range { (texts.apps.about) } }
        section.card {
            .card-head {
                h2 { (texts.apps.apps) }
                @if visit.may_change() { a.button href=(visit.link(app_forms::NEW)) { (texts.apps.new_app) } }
            }
            @if apps.is_empty() { p.muted { (texts.apps.no_app) } } @else { (apps_table(visit, &apps)) }
        }
        section.card {
            .card-head {
                h2 { (texts.apps.keys) }
                @if visit.may_change() { a.button href=(visit.link(key_forms::NEW)) { (texts.apps.new_key) } }
            }
            @if live.is_empty() { p.muted { (texts.apps.no_key) } } @else { (keys_table(visit, &live, texts.apps.keys)) }
            @if !revoked.is_empty() {
                details.more {
                    summary { (texts.apps.revoked_keys) " (" (asking.locale.whole(revoked.len() as u64)) ")" }
                    (keys_table(visit, &revoked, texts.apps.revoked_keys))
                }
            }
        }
        p { (texts.apps.see_share_links) " " a href=(visit.link("/ui/shares")) { (texts.share_links) } }
    };
    let address = visit.link(PATH);
    Ok(visit.page(StatusCode::OK, (texts.apps.title, &address), content))
}

/// Sessions of the running day, and of the 28 days that end with it.
struct Sessions {
    today: u64,
    in_28_days: u64,
}

/// `None` while they are being counted.
async fn sessions(visit: &Visit<'_>, app: AppId, window: &Window) -> Result<Option<Sessions>, StoreError> {
    let [first, .., today, end] = window.edges() else {
        return Ok(None);
    };
    let edges = [*first, *today, *end];
    let counted = visit.count(Scope::App(app), Whose::Everyone, &edges).await?;
    Ok(counted.map(|counts| Sessions {
        today: counts.last().copied().unwrap_or_default(),
        in_28_days: counts.iter().sum(),
    }))
}

fn apps_table(visit: &Visit<'_>, apps: &[(&App, Option<Sessions>)]) -> Markup {
    let asking = &visit.ready.asking;
    let texts = asking.texts;
    let number =
        |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| asking.locale.whole(count));
    html! {
        .scrolls tabindex="0" role="region" aria-label=(texts.apps.apps) { table.units-table.listed {
            thead { tr {
                th scope="col" { (texts.name) }
                th scope="col" { (texts.platform) }
                th.number scope="col" { (texts.apps.today) }
                th.number scope="col" { (texts.apps.in_28_days) }
                th scope="col" { (texts.apps.id) }
                th scope="col" { span.unseen { (texts.apps.actions) } }
            } }
            tbody { @for (app, sessions) in apps { tr {
                @let of_app = |path: &str| visit.asked.but(|asked| asked.app = Some(app.id)).link(path);
                @let sessions = sessions.as_ref();
                th scope="row" { a href=(of_app("/")) { bdi { (app.name) } } }
                td data-label=[(!app.platform.is_empty()).then_some(texts.platform)] { bdi { (app.platform) } }
                td.number data-label=(texts.apps.today) { (number(sessions.map(|sessions| sessions.today))) }
                td.number data-label=(texts.apps.in_28_days) { (number(sessions.map(|sessions| sessions.in_28_days))) }
                td data-label=(texts.apps.id) { code { (app.id) } " "
                    button.link data-copy=(app.id) hidden aria-label={(texts.copy) ": " (texts.apps.id) " " (app.name)} { (texts.copy) } }
                td.actions {
                    (action(&of_app(START), texts.apps.set_up, app.name.as_str()))
                    @if visit.may_change() {
                        (action(&of_app(app_forms::RENAME), texts.apps.rename, app.name.as_str()))
                        (action(&of_app(app_forms::DELETE), texts.apps.delete, app.name.as_str()))
                    }
                }
            } } }
        } }
    }
}

fn keys_table(visit: &Visit<'_>, keys: &[&ApiKey], label: &str) -> Markup {
    let texts = visit.ready.asking.texts;
    html! {
        .scrolls tabindex="0" role="region" aria-label=(label) { table.units-table.listed {
            thead { tr {
                th scope="col" { (texts.name) }
                th scope="col" { (texts.apps.permissions) }
                th scope="col" { (texts.apps.allowed_from) }
                th scope="col" { (texts.apps.last_used) }
                th scope="col" { span.unseen { (texts.apps.actions) } }
            } }
            tbody { @for key in keys { tr {
                th scope="row" { bdi { (key.name) } }
                td.wraps data-label=(texts.apps.permissions) { (key.permissions.names().join(", ")) }
                td.wraps data-label=(texts.apps.allowed_from) {
                    @if key.allow.is_empty() { (texts.apps.anywhere) }
                    @for (nth, network) in key.allow.iter().enumerate() { @if nth > 0 { ", " } (network) }
                }
                td data-label=(texts.apps.last_used) { (key.last_used_at.map_or_else(|| texts.never.to_owned(), |at| visit.moment(at))) }
                td.actions {
                    @if visit.may_change() && !key.revoked {
                        (action(&key_forms::revoke_link(visit, key.id), texts.revoke, key.name.as_str()))
                    }
                }
            } } }
        } }
    }
}

/// A way to a form, told apart from its neighbours by the name of what it changes.
fn action(address: &str, what: &str, name: &str) -> Markup {
    html! { a href=(address) aria-label={(what) ": " (name)} { (what) } }
}
