//! `/ui/segments`: the segments of a workspace, and the form that makes and changes them.
//!
//! `list` has the first page. The form (`builder`) is a filter in rows and groups: `draft` is what was typed so far and the filter
//! that it describes, `values` how values are typed, `form` the page, `preview` what the filter holds for. Each of its buttons sends
//! the form, so that all of it works without a script; a script only counts while somebody types.

mod builder;
mod draft;
mod form;
mod list;
mod preview;
mod values;

use axum::Router;
use axum::http::Response;
use axum::routing::{get, post};

pub(super) use self::draft::Kind;
use super::Dashboard;
use super::visit::Visit;
use crate::api::Query;
use crate::model::{Segment, SegmentId};

/// The first of these pages.
pub(super) const PATH: &str = "/ui/segments";
const NEW: &str = "/ui/segments/new";
const EDIT: &str = "/ui/segments/edit";
const DELETE: &str = "/ui/segments/delete";
const PREVIEW: &str = "/ui/segments/preview";
/// The parameter that names a segment. `segment_id` is what numbers are asked for, and needs tracking.
const SEGMENT: &str = "segment";

/// All of these pages.
pub(super) fn routes() -> Router<Dashboard> {
    Router::new()
        .route(PATH, get(list::page_of).post(list::track))
        .route(NEW, get(builder::new_page).post(builder::make))
        .route(EDIT, get(builder::edit_page).post(builder::change))
        .route(DELETE, get(list::delete_page).post(list::delete))
        .route(PREVIEW, post(preview::count))
}

/// The segment of the workspace that an address names.
fn named<'a>(visit: &'a Visit<'_>, query: &Query<'_>) -> Option<&'a Segment> {
    let id: SegmentId = query.all(SEGMENT).next()?.parse().ok()?;
    visit.ready.workspace.segment(id)
}

fn no_such_segment(visit: &Visit<'_>) -> Response<axum::body::Body> {
    visit.unknown(visit.ready.asking.texts.segments.no_such_segment)
}
