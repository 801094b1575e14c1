//! The list of segments with how many sessions they have, and what is done to one: tracking on and off, deletion.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::{DELETE, EDIT, NEW, PATH, SEGMENT, named, no_such_segment};
use crate::catalog::Change;
use crate::count::preview_window;
use crate::dashboard::visit::{Answered, Visit, sent, shown};
use crate::dashboard::{Dashboard, forgery, respond};
use crate::model::{Segment, SegmentChange};
use crate::store::{Scope, StoreError, Whose};

/// `GET /ui/segments`
pub(super) async fn page_of(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, PATH, async |visit, _| {
        page(visit, None).await
    })
    .await
}

/// `POST /ui/segments`: turns the tracking of one on or off.
pub(super) async fn track(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, PATH, async |visit, _, form| {
        let Some(segment) = named(visit, form) else {
            return Ok(no_such_segment(visit));
        };
        let change = SegmentChange {
            track: Some(form.all("track").next().as_deref() == Some("1")),
            ..SegmentChange::default()
        };
        let store = visit.dashboard.store();
        match store.change(Change::ChangeSegment(segment.id, change)).await {
            Ok(_) => Ok(respond::see(&visit.link(PATH))),
            Err(StoreError::NotFound(_)) => Ok(no_such_segment(visit)),
            Err(StoreError::Conflict(message)) => page(visit, Some(&message)).await,
            Err(error) => Err(error),
        }
    })
    .await
}

async fn page(visit: &Visit<'_>, refused: Option<&str>) -> Answered {
    let asking = &visit.ready.asking;
    let texts = asking.texts;
    let Some(_turn) = visit.dashboard.turn().await else {
        return Ok(asking.busy());
    };
    let workspace = &visit.ready.workspace;
    let scope = Scope::Workspace(workspace.workspace.id);
    let window = preview_window(workspace, visit.dashboard.now());
    let ends: Vec<i64> = window
        .edges()
        .first()
        .into_iter()
        .chain(window.edges().last())
        .copied()
        .collect();
    let mut segments = Vec::with_capacity(workspace.segments.len());
    for segment in &workspace.segments {
        let counted = visit.count(scope, Whose::Filter(&segment.filter), &ends).await?;
        segments.push((segment, counted.map(|counts| counts.iter().sum())));
    }
    let content = html! {
        .heading { h1 { (texts.segments.title) } p.range { (texts.segments.about) } }
        @if let Some(message) = refused { .notice.bad role="alert" { p { bdi { (message) } } } }
        section.card {
            .card-head {
                h2 { (texts.segments.title) }
                @if visit.may_change() { a.button href=(visit.link(NEW)) { (texts.segments.new_segment) } }
            }
            @if segments.is_empty() { p.muted { (texts.segments.no_segment) } } @else { (table(visit, &segments)?) }
        }
    };
    let status = match refused {
        Some(_) => StatusCode::BAD_REQUEST,
        None => StatusCode::OK,
    };
    let address = visit.link(PATH);
    Ok(visit.page(status, (texts.segments.title, &address), content))
}

fn table(visit: &Visit<'_>, segments: &[(&Segment, Option<u64>)]) -> Result<Markup, StoreError> {
    let asking = &visit.ready.asking;
    let texts = asking.texts;
    let form_token = visit.ready.token.form_token()?;
    let about = |path: &str, segment: &Segment| visit.link_about(path, SEGMENT, segment.id);
    let of_segment = |segment: &Segment| {
        visit
            .asked
            .but(|asked| asked.segment = Some(segment.id))
            .link("/")
    };
    Ok(html! {
        .scrolls tabindex="0" role="region" aria-label=(texts.segments.title) { table.units-table.listed {
            thead { tr {
                th scope="col" { (texts.name) }
                th scope="col" { (texts.segments.filter) }
                th.number scope="col" { (texts.segments.in_28_days) }
                th scope="col" { (texts.segments.tracking) }
                th scope="col" { (texts.segments.updated) }
                th scope="col" { span.unseen { (texts.apps.actions) } }
            } }
            tbody { @for (segment, sessions) in segments { tr {
                th scope="row" {
                    @if segment.tracked { a href=(of_segment(segment)) { bdi { (segment.name) } } }
                    @else { bdi { (segment.name) } }
                }
                td.wraps data-label=(texts.segments.filter) { bdi { (segment.filter) } }
                td.number data-label=(texts.segments.in_28_days) {
                    (sessions.map_or_else(|| "–".to_owned(), |sessions| asking.locale.whole(sessions)))
                }
                td data-label=(texts.segments.tracking) { (tracking(visit, segment, &form_token)) }
                td data-label=(texts.segments.updated) { (visit.moment(segment.updated_at)) }
                td.actions { @if visit.may_change() {
                    a href=(about(EDIT, segment)) aria-label={(texts.segments.edit) ": " (segment.name)} { (texts.segments.edit) }
                    a href=(about(DELETE, segment)) aria-label={(texts.segments.delete) ": " (segment.name)} { (texts.segments.delete) }
                } }
            } } }
        } }
    })
}

/// Whether it is on, and the button that changes that.
fn tracking(visit: &Visit<'_>, segment: &Segment, form_token: &str) -> Markup {
    let texts = &visit.ready.asking.texts.segments;
    let (now, turn, wanted) = if segment.tracked {
        (texts.on, texts.turn_off, "0")
    } else {
        (texts.off, texts.turn_on, "1")
    };
    html! {
        form method="post" action=(visit.link(PATH)) {
            (forgery::field(form_token))
            input type="hidden" name=(SEGMENT) value=(segment.id);
            (now) " "
            @if visit.may_change() { button.link name="track" value=(wanted) aria-label={(turn) ": " (segment.name)} { (turn) } }
        }
    }
}

/// `GET /ui/segments/delete`: says what that means, and changes nothing.
pub(super) async fn delete_page(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    shown(&dashboard, request, DELETE, async |visit, query| {
        let Some(segment) = named(visit, query) else {
            return Ok(no_such_segment(visit));
        };
        let texts = &visit.ready.asking.texts.segments;
        let address = visit.link_about(DELETE, SEGMENT, segment.id);
        let form = visit.form(&address, visit.buttons((texts.delete_for_good, "danger"), PATH))?;
        let content = html! {
            .heading { h1 { (texts.delete_segment) ": " bdi { (segment.name) } } }
            section.card.confirm {
                p { strong { (texts.deleting) } }
                p.muted { bdi { (segment.filter) } }
                (form)
            }
        };
        Ok(visit.page(StatusCode::OK, (texts.delete_segment, &address), content))
    })
    .await
}

/// `POST /ui/segments/delete`
pub(super) async fn delete(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, DELETE, async |visit, query, _| {
        let Some(segment) = named(visit, query) else {
            return Ok(no_such_segment(visit));
        };
        match visit
            .dashboard
            .store()
            .change(Change::DeleteSegment(segment.id))
            .await
        {
            // Somebody else may have deleted it meanwhile.
            Ok(_) | Err(StoreError::NotFound(_)) => Ok(respond::see(&visit.link(PATH))),
            Err(error) => Err(error),
        }
    })
    .await
}
