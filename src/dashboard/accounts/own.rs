//! `/ui/account`: who somebody is here, where they are signed in, and their password; for admins, who else has an account.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::hasher::Busy;
use super::kept::{self, Account, Rights};
use super::password::{Hashed, Password, PasswordError};
use super::{OWN, OWN_SESSIONS};
use crate::dashboard::cookies::{self, Purpose};
use crate::dashboard::forms::{Field, Problem, command, status, summary};
use crate::dashboard::visit::{Answered, Visit, sent, shown, typed};
use crate::dashboard::visitors::{Browser, browsers};
use crate::dashboard::{Dashboard, entrance, respond};
use crate::model::WorkspaceId;
use crate::store::StoreError;

/// What an admin runs to make an account.
const COMMAND: &str = "sessionmeter account add NAME --role reader --workspace WORKSPACE";

/// `GET /ui/account`
pub(super) async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, OWN, async |visit, _| page(visit, &[]).await).await
}

/// `POST /ui/account/sessions`: ends one session, or all.
pub(super) async fn end(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, OWN, async |visit, _, form| {
        let (visitors, visitor) = (visit.dashboard.visitors(), &visit.ready.visitor);
        let now = visit.dashboard.now();
        if form.all("everywhere").next().is_some() {
            visitors.end_all(visitor, now).await?;
            return Ok(entrance::left(&visit.ready.asking));
        }
        visitors.end(visitor, &typed(form, "end"), now).await?;
        Ok(respond::see(&visit.link(OWN)))
    })
    .await
}

/// `POST /ui/account`: changes the password.
pub(super) async fn change_password(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    sent(&dashboard, request, OWN, async |visit, _, form| {
        let asking = &visit.ready.asking;
        let texts = &asking.texts.accounts;
        let Some(account) = visit.ready.visitor.account.as_deref() else {
            return Ok(asking.forged());
        };
        let (present, new) = (typed(form, "present"), typed(form, "new"));
        let mut problems = Vec::new();
        if typed(form, "again") != new {
            problems.push(Problem::told("again", texts.not_the_same));
        }
        let new = match Password::new(new) {
            Ok(new) => Some(new),
            Err(error) => {
                let message = match error {
                    PasswordError::Short(characters) => (texts.too_short)(characters),
                    PasswordError::Long(_) => texts.too_long.to_owned(),
                };
                problems.push(Problem::told("new", message));
                None
            }
        };
        let Some(new) = new.filter(|_| problems.is_empty()) else {
            return page(visit, &problems).await;
        };
        // Of this browser alone: whoever guesses at the name from elsewhere keeps nobody from changing a password.
        let hash = visit.ready.token.hash();
        let attempt = match visit.dashboard.attempts().begin(None, hash) {
            Ok(attempt) => attempt,
            Err(seconds) => {
                let problem = Problem::told("present", (texts.wait)(seconds));
                return page(visit, &[problem]).await;
            }
        };
        let hasher = visit.dashboard.hasher();
        let compared = match Password::typed(present) {
            Ok(present) => hasher.compare(present, Some(account.password().clone())).await,
            Err(_) => Ok(false),
        };
        match compared {
            Err(Busy) => return Ok(asking.busy()),
            Ok(false) => {
                attempt.failed();
                return page(visit, &[Problem::told("present", texts.wrong_present)]).await;
            }
            Ok(true) => attempt.succeeded(),
        }
        match hasher.hash(new).await {
            Err(Busy) => Ok(asking.busy()),
            Ok(hashed) => changed(visit, account, hashed?).await,
        }
    })
    .await
}

/// Puts the new password in its place; then only the browser that sent it is in, by another token.
async fn changed(visit: &Visit<'_>, account: &Account, hashed: Hashed) -> Answered {
    let (dashboard, asking) = (visit.dashboard, &visit.ready.asking);
    let now = dashboard.now();
    // Somebody may have removed or changed it since this page was asked for.
    let newest = account.mark().account(dashboard.store(), now).await?;
    let changed = match newest {
        Some(newest) => kept::with_password(dashboard.store(), newest, hashed, now).await?,
        None => None,
    };
    let Some(changed) = changed else {
        return Ok(entrance::left(asking));
    };
    dashboard.visitors().end_all(&visit.ready.visitor, now).await?;
    let token = dashboard
        .visitors()
        .open(Some(&changed), asking.agent(), now)
        .await?;
    let texts = asking.texts;
    let on = (OWN, texts.accounts.title);
    let response = asking.saying(StatusCode::OK, texts.accounts.password_is_changed, "", on);
    let cookie = cookies::set(&asking.place, Purpose::SignedIn, &token);
    Ok(respond::with(response, SET_COOKIE, cookie))
}

async fn page(visit: &Visit<'_>, problems: &[Problem]) -> Answered {
    let texts = &visit.ready.asking.texts.accounts;
    let visitor = &visit.ready.visitor;
    let address = visit.link(OWN);
    let others = if visitor.may_change() {
        accounts(visit).await?
    } else {
        html! {}
    };
    let content = html! {
        .heading { h1 { (texts.title) } }
        (summary(problems, visit.ready.asking.texts))
        (who(visit))
        (own_sessions(visit).await?)
        @if visitor.account.is_some() { (password_form(visit, &address, problems)?) }
        (others)
    };
    Ok(visit.page(status(problems), (texts.title, &address), content))
}

fn who(visit: &Visit<'_>) -> Markup {
    let texts = &visit.ready.asking.texts.accounts;
    html! {
        section.card {
            @match visit.ready.visitor.account.as_deref() {
                None => p { (texts.by_link) },
                Some(account) => {
                    .card-head { h2 { bdi { (account.name()) } } }
                    @match account.rights() {
                        Rights::Admin => p { (texts.admin) },
                        Rights::Reader(workspaces) => p { (texts.reader) " " (names(visit, workspaces)) },
                    }
                }
            }
        }
    }
}

/// Those that are still there, by name.
fn names(visit: &Visit<'_>, workspaces: &[WorkspaceId]) -> Markup {
    let there = workspaces
        .iter()
        .filter_map(|id| visit.ready.catalog.workspace(*id));
    html! {
        @for (nth, entry) in there.enumerate() { @if nth > 0 { ", " } bdi { (entry.workspace.name) } }
    }
}

async fn own_sessions(visit: &Visit<'_>) -> Result<Markup, StoreError> {
    let asking = &visit.ready.asking;
    let texts = &asking.texts.accounts;
    let (dashboard, visitor) = (visit.dashboard, &visit.ready.visitor);
    let own = dashboard.visitors().own(visitor, dashboard.now()).await?;
    let this = visit.ready.token.hash();
    let title = match visitor.account {
        Some(_) => texts.sessions,
        None => texts.sessions_by_link,
    };
    let row = |browser: &Browser| {
        let is_this = browser.hash == this;
        let name = match browser.agent.as_str() {
            "" => texts.unknown_browser,
            agent => agent,
        };
        html! {
            th scope="row" { bdi { (name) } @if is_this { " " strong { "(" (texts.this_one) ")" } } }
            td data-label=(texts.since) { (visit.moment(browser.since)) }
            td data-label=(texts.last_used) { (visit.moment(browser.used)) }
            td.actions { @if !is_this {
                button.link name="end" value=(browser.id()) aria-label={(texts.end) ": " (name)} { (texts.end) }
            } }
        }
    };
    let content = html! {
        .scrolls tabindex="0" role="region" aria-label=(title) { table.units-table.listed {
            thead { tr {
                th scope="col" { (texts.browser) }
                th scope="col" { (texts.since) }
                th scope="col" { (texts.last_used) }
                th scope="col" { span.unseen { (asking.texts.apps.actions) } }
            } }
            tbody { @for browser in &own { tr { (row(browser)) } } }
        } }
        .buttons { button name="everywhere" value="1" { (texts.sign_out_everywhere) } }
    };
    let form = visit.form(&visit.link(OWN_SESSIONS), content)?;
    Ok(html! { section.card.wide { .card-head { h2 { (title) } } (form) } })
}

fn password_form(visit: &Visit<'_>, address: &str, problems: &[Problem]) -> Result<Markup, StoreError> {
    let texts = &visit.ready.asking.texts.accounts;
    let field = |name, label, hint| Field {
        name,
        label,
        hint,
        problems,
    };
    let fields = html! {
        (field("present", texts.present, "").password("current-password"))
        (field("new", texts.new, texts.new_hint).password("new-password"))
        (field("again", texts.again, "").password("new-password"))
        .buttons { button.primary { (texts.change_password) } }
    };
    let form = visit.form(address, fields)?;
    Ok(html! {
        section.card {
            .card-head { h2 { (texts.change_password) } p.muted { (texts.others_end) } }
            (form)
        }
    })
}

/// Who has an account, for those who may change everything.
async fn accounts(visit: &Visit<'_>) -> Result<Markup, StoreError> {
    let asking = &visit.ready.asking;
    let texts = &asking.texts.accounts;
    let (store, now) = (visit.dashboard.store(), visit.dashboard.now());
    let accounts = kept::list(store, now).await?;
    let browsers = browsers(store, now).await?;
    let last_used = |account: &Account| {
        let hash = account.mark().account;
        let own = browsers
            .iter()
            .find(|browser| browser.owner.as_ref() == Some(&hash));
        own.map_or_else(|| "–".to_owned(), |browser| visit.moment(browser.used))
    };
    Ok(html! {
        section.card {
            .card-head { h2 { (texts.all) } }
            @if accounts.is_empty() { p.muted { (texts.none_yet) } } @else {
                .scrolls tabindex="0" role="region" aria-label=(texts.all) { table.units-table.listed {
                    thead { tr {
                        th scope="col" { (asking.texts.name) }
                        th scope="col" { (texts.role) }
                        th scope="col" { (texts.workspaces) }
                        th scope="col" { (texts.last_used) }
                    } }
                    tbody { @for account in &accounts { tr {
                        th scope="row" { bdi { (account.name()) } }
                        td data-label=(texts.role) { (account.rights().role()) }
                        td.wraps data-label=(texts.workspaces) {
                            @match account.rights() {
                                Rights::Admin => (texts.every_workspace),
                                Rights::Reader(workspaces) => (names(visit, workspaces)),
                            }
                        }
                        td data-label=(texts.last_used) { (last_used(account)) }
                    } } }
                } }
            }
            p.muted { (texts.made_by_command) }
            (command(COMMAND, asking.texts))
        }
    })
}
