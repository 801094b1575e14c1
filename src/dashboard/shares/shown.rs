//! `GET /share/{token}`: a page for whoever has its address. It is no page of the others with less on it: what it shows is
//! what the link says, and nothing of it can be asked for.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use maud::{Markup, html};

use super::kept::{self, Share};
use crate::count::QuestionError;
use crate::dashboard::chart::{Frame, draw_in_page};
use crate::dashboard::guest::Asking;
use crate::dashboard::overview::{Asked, Desk, Subject, View, change, chart, legend, period, units};
use crate::dashboard::token::Token;
use crate::dashboard::{Dashboard, respond};
use crate::store::StoreError;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// Shows what a link is for.
pub(in crate::dashboard) async fn page_of(
    State(dashboard): State<Dashboard>,
    Path(token): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let asking = match dashboard.asking(&parts) {
        Ok(asking) => asking,
        Err(answer) => return answer,
    };
    let mut response = answer(&dashboard, &asking, &token).await;
    let headers = response.headers_mut();
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    response
}

async fn answer(dashboard: &Dashboard, asking: &Asking, token: &str) -> Response<Body> {
    let texts = asking.texts;
    let now = dashboard.now();
    let found = match Token::parse(token) {
        None => Ok(None),
        Some(token) => kept::find(dashboard.store(), &token, now).await,
    };
    let share = match found {
        Err(error) => return asking.store_failed(&error),
        Ok(share) => share,
    };
    let asked = share
        .as_ref()
        .and_then(|share| share.asked(&dashboard.store().catalog()));
    let Some((share, asked)) = share.zip(asked) else {
        return asking.alone(StatusCode::NOT_FOUND, texts.share_is_void, "");
    };
    kept::note_use(dashboard.shared_store(), &share, now);
    let Some(_turn) = dashboard.turn().await else {
        return asking.alone(StatusCode::SERVICE_UNAVAILABLE, texts.busy, "");
    };
    match page(dashboard, asking, &share, &asked).await {
        Ok(page) => respond::html(StatusCode::OK, page),
        Err(QuestionError::Store(StoreError::Counting(percent))) => {
            let detail = (texts.being_counted_percent)(percent);
            asking.alone(StatusCode::SERVICE_UNAVAILABLE, texts.being_counted, &detail)
        }
        Err(QuestionError::Store(error)) => asking.store_failed(&error),
        Err(_) => asking.alone(StatusCode::NOT_FOUND, texts.share_is_void, ""),
    }
}

async fn page(
    dashboard: &Dashboard,
    asking: &Asking,
    share: &Share,
    asked: &Asked,
) -> Result<Markup, QuestionError> {
    let subject = Subject::of(asked).map_err(|_| QuestionError::Impossible("the filter is too long"))?;
    let now = dashboard.now();
    let desk = Desk {
        counter: dashboard.counter(),
        store: dashboard.shared_store(),
        asked,
        subject: &subject,
        now,
    };
    let numbers = desk.ask().await?;
    let (texts, locale) = (asking.texts, asking.locale);
    let view = View {
        asked,
        numbers: &numbers,
        may_change: false,
        texts,
        locale,
        address: "",
        now: now.div_euclid(1000),
        live: "",
    };
    let chart = chart(view);
    let frame = Frame {
        chart: &chart,
        locale,
    };
    let figures = &numbers.figures;
    Ok(asking.outside(share.name()).page(html! {
        .heading {
            h1 { bdi { (share.name()) } }
            p.range { (period(view)) }
        }
        section.card {
            .card-head {
                h2 { (texts.sessions) " " (texts.per_unit(asked.step)) }
                p { strong { (locale.whole(figures.sessions)) } " "
                    @if let Some(fair) = figures.fair { (change(fair.before as f64, fair.now as f64, view)) }
                }
            }
            .chart { (draw_in_page(frame)) }
            .card-foot { (legend(&chart)) }
        }
        (units(view))
    }))
}
