//! `/ui/shares`: makes share links of what somebody looks at, lists those that there are, and makes them void.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::kept::{self, DAY, Share};
use crate::api::Query;
use crate::dashboard::forms::command;
use crate::dashboard::guest::read_form;
use crate::dashboard::overview::{Asked, Ready, asked_of, not_understood, ready, said, whole};
use crate::dashboard::shell::Here;
use crate::dashboard::{Dashboard, dates, forgery, respond};
use crate::model::Millis;
use crate::store::StoreError;

const PATH: &str = "/ui/shares";
/// Days for which a link may be good; the last one is usual.
const DAYS: [i64; 3] = [7, 30, 90];

/// `GET /ui/shares`: of the view that the query names.
pub(in crate::dashboard) async fn page_of(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let ready = match ready(&dashboard, &parts, PATH).await {
        Ok(ready) => ready,
        Err(answer) => return answer,
    };
    match asked_of(&dashboard, &ready, &parts).await {
        Ok(asked) => page(&dashboard, &ready, &asked, StatusCode::OK, html! {}).await,
        Err(error) => not_understood(&ready, &error),
    }
}

/// `POST /ui/shares`: makes one, or makes one void.
pub(in crate::dashboard) async fn change(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let ready = match ready(&dashboard, &parts, PATH).await {
        Ok(ready) => ready,
        Err(answer) => return answer,
    };
    let form = read_form(body).await.unwrap_or_default();
    let form = Query::new(Some(&form));
    let field = |name: &str| form.all(name).next();
    if !forgery::is_genuine(
        &ready.asking.headers,
        &ready.token,
        field(forgery::FIELD).as_deref(),
    ) {
        return ready.asking.forged();
    }
    let asked = match asked_of(&dashboard, &ready, &parts).await {
        Ok(asked) => asked,
        Err(error) => return not_understood(&ready, &error),
    };
    let now = dashboard.now();
    if let Some(id) = field("revoke") {
        return match kept::revoke(dashboard.store(), &id, now).await {
            Ok(_) => respond::see(&asked.link(PATH)),
            Err(error) => ready.asking.store_failed(&error),
        };
    }
    let days = field("days")
        .and_then(|days| days.parse().ok())
        .filter(|days| DAYS.contains(days));
    let name = field("name")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default();
    let texts = ready.asking.texts;
    let name = if name.is_empty() {
        said(&asked, texts)
    } else {
        name
    };
    match kept::make(dashboard.store(), &asked, &name, days.unwrap_or(90), now).await {
        Err(error) => ready.asking.store_failed(&error),
        Ok(token) => {
            let address = format!("{}/share/{}", ready.asking.place.address(), token.reveal());
            let made = html! {
                .notice role="status" {
                    p { strong { (texts.share_is_made) } " " (texts.shown_once) }
                    (command(&address, texts))
                }
            };
            page(&dashboard, &ready, &asked, StatusCode::OK, made).await
        }
    }
}

async fn page(
    dashboard: &Dashboard,
    ready: &Ready,
    asked: &Asked,
    status: StatusCode,
    notice: Markup,
) -> Response<Body> {
    let content = content(dashboard, ready, asked, notice).await;
    match content {
        Ok(content) => {
            let title = ready.asking.texts.share_links;
            whole(ready, asked, (Here::Shares, title), status, None, content)
        }
        Err(error) => ready.asking.store_failed(&error),
    }
}

async fn content(
    dashboard: &Dashboard,
    ready: &Ready,
    asked: &Asked,
    notice: Markup,
) -> Result<Markup, StoreError> {
    let texts = ready.asking.texts;
    let now = dashboard.now();
    let shares = kept::list(dashboard.store(), now).await?;
    let of_here = |share: &Share| share.workspace() == Some(ready.workspace.workspace.id);
    let shares: Vec<Share> = shares.into_iter().filter(of_here).collect();
    let form_token = ready.token.form_token()?;
    let date = |at: Millis| {
        let label = ready.workspace.zone.date_at(at.div_euclid(1000));
        dates::date_of(label)
            .map(|date| dates::long_date(date, texts))
            .unwrap_or_default()
    };
    let action = asked.link(PATH);
    Ok(html! {
        .heading { h1 { (texts.share_links) } p.range { (texts.who_has_it_sees_it) } }
        (notice)
        @if ready.visitor.may_change() { section.card {
            .card-head { h2 { (texts.new_share) } p.muted { bdi { (said(asked, texts)) } } }
            form.controls method="post" action=(action) {
                (forgery::field(&form_token))
                label { span { (texts.name) } input type="text" name="name" maxlength="80" autocomplete="off"; }
                label { span { (texts.good_for_days) }
                    select name="days" { @for days in DAYS { option value=(days) selected[days == 90] { (days) } } }
                }
                button.primary { (texts.make_share) }
                a href=(asked.link("/")) { (texts.back_to_the_overview) }
            }
        } }
        @if !shares.is_empty() {
            section.card { .scrolls tabindex="0" role="region" aria-label=(texts.share_links) {
                table.units-table {
                    thead { tr {
                        th scope="col" { (texts.name) }
                        th scope="col" { (texts.shows) }
                        th scope="col" { (texts.good_until) }
                        th scope="col" { (texts.last_opened) }
                        th scope="col" { span.unseen { (texts.revoke) } }
                    } }
                    tbody { @for share in &shares { tr {
                        th scope="row" { bdi { (share.name()) } }
                        td { bdi { (share.asked(&ready.catalog).map(|asked| said(&asked, texts)).unwrap_or_else(|| "–".to_owned())) } }
                        td { (date(share.expires_at - DAY / 2)) }
                        td { (share.opened().map_or_else(|| texts.never.to_owned(), date)) }
                        td.number { @if ready.visitor.may_change() { form method="post" action=(action) {
                            (forgery::field(&form_token))
                            button name="revoke" value=(share.id()) aria-label={(texts.revoke) ": " (share.name())} { (texts.revoke) }
                        } } }
                    } } }
                }
            } }
        }
    })
}
