//! Receives the form of a segment: each of its buttons answers with the form as it is then, and the last one saves it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response};

use super::draft::{Draft, ROOT, Wrong};
use super::form::show;
use super::{EDIT, NEW, PATH, named, no_such_segment};
use crate::api::Query;
use crate::catalog::{Change, Refusal};
use crate::dashboard::forms::Problem;
use crate::dashboard::visit::{Answered, Visit, sent, shown, typed};
use crate::dashboard::{Dashboard, respond};
use crate::model::{
    Filter, Name, NewSegment, Segment, SegmentChange, SegmentId, SegmentNotes, SegmentNotesError,
};
use crate::store::StoreError;

/// What was typed about a segment.
pub(super) struct Typed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) is_tracked: bool,
    pub(super) draft: Draft,
    /// The text in which the filter stands as JSON, where it could not be taken over.
    pub(super) json: Option<String>,
}

impl Typed {
    fn of_form(form: &Query<'_>) -> Self {
        Self {
            name: typed(form, "name"),
            description: typed(form, "description"),
            is_tracked: form.all("track").next().is_some(),
            draft: Draft::of_form(form),
            json: None,
        }
    }

    fn of_segment(segment: &Segment) -> Self {
        Self {
            name: segment.name.to_string(),
            description: segment.notes.description().to_owned(),
            is_tracked: segment.tracked,
            draft: Draft::of_filter(&segment.filter),
            json: None,
        }
    }

    /// What is to be saved, or all that is wrong.
    fn read(&self, notes: &SegmentNotes) -> Result<(Name, SegmentNotes, Filter), Vec<Problem>> {
        let name = self.name.parse::<Name>();
        let notes = notes.with(Some(self.description.clone()), None);
        match (name, notes, self.draft.filter()) {
            (Ok(name), Ok(notes), Ok(filter)) => Ok((name, notes, filter)),
            (name, notes, filter) => {
                let name = name.err().map(|error| Problem::new("name", error));
                let notes = notes
                    .err()
                    .map(|error: SegmentNotesError| Problem::new("description", error));
                let filter = filter.err().into_iter().flatten().map(problem);
                Err(name.into_iter().chain(notes).chain(filter).collect())
            }
        }
    }
}

/// What is wrong about a condition, at the field that it begins with.
fn problem(wrong: Wrong) -> Problem {
    let is_about_the_whole = wrong.path == ROOT;
    let field = if is_about_the_whole {
        wrong.path
    } else {
        format!("{}.field", wrong.path)
    };
    Problem::new(field, wrong.message)
}

/// `GET /ui/segments/new`; `filter` is what it begins with.
pub(super) async fn new_page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, NEW, async |visit, _| {
        // The overview hands over what it shows.
        let draft = visit.asked.filter.as_ref().map(Draft::of_filter);
        let begun = Typed {
            name: String::new(),
            description: String::new(),
            is_tracked: true,
            draft: draft.unwrap_or_default(),
            json: None,
        };
        show(visit, None, &begun, &[]).await
    })
    .await
}

/// `POST /ui/segments/new`
pub(super) async fn make(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, NEW, async |visit, _, form| {
        receive(visit, None, form).await
    })
    .await
}

/// `GET /ui/segments/edit`
pub(super) async fn edit_page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, EDIT, async |visit, query| {
        match named(visit, query) {
            Some(segment) => show(visit, Some(segment), &Typed::of_segment(segment), &[]).await,
            None => Ok(no_such_segment(visit)),
        }
    })
    .await
}

/// `POST /ui/segments/edit`
pub(super) async fn change(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(
        &dashboard,
        request,
        EDIT,
        async |visit, query, form| match named(visit, query) {
            Some(segment) => receive(visit, Some(segment), form).await,
            None => Ok(no_such_segment(visit)),
        },
    )
    .await
}

async fn receive(visit: &Visit<'_>, segment: Option<&Segment>, form: &Query<'_>) -> Answered {
    let mut typed = Typed::of_form(form);
    let button = self::typed(form, "do");
    let (act, path) = button.split_once(':').unwrap_or((button.as_str(), ""));
    match act {
        "add" => typed.draft.add_condition(path),
        "group" => typed.draft.add_group(path),
        "remove" => typed.draft.remove(path),
        "json" => {
            let json = self::typed(form, "json");
            match json.parse::<Filter>() {
                Ok(filter) => typed.draft = Draft::of_filter(&filter),
                Err(error) => {
                    typed.json = Some(json);
                    return show(visit, segment, &typed, &[Problem::new("json", error)]).await;
                }
            }
        }
        "save" => return save(visit, segment, &typed).await,
        // It is counted whenever it is shown.
        _ => {}
    }
    show(visit, segment, &typed, &[]).await
}

async fn save(visit: &Visit<'_>, segment: Option<&Segment>, typed: &Typed) -> Answered {
    let notes = segment.map(|segment| segment.notes.clone()).unwrap_or_default();
    let (name, notes, filter) = match typed.read(&notes) {
        Ok(read) => read,
        Err(problems) => return show(visit, segment, typed, &problems).await,
    };
    let name_is_taken = Refusal::NameTaken {
        noun: "segment",
        name: name.to_string(),
    };
    let name_is_taken = name_is_taken.to_string();
    let change = match segment {
        None => Change::CreateSegment(
            visit.ready.workspace.workspace.id,
            NewSegment {
                id: SegmentId::random(),
                name,
                notes,
                filter,
                track: typed.is_tracked,
            },
        ),
        Some(segment) => Change::ChangeSegment(
            segment.id,
            SegmentChange {
                name: Some(name),
                notes: Some(notes),
                filter: Some(filter),
                track: Some(typed.is_tracked),
            },
        ),
    };
    match visit.dashboard.store().change(change).await {
        Ok(_) => Ok(respond::see(&visit.link(PATH))),
        Err(StoreError::NotFound(_)) => Ok(no_such_segment(visit)),
        Err(StoreError::Conflict(message)) => {
            let field = if message == name_is_taken { "name" } else { "track" };
            show(visit, segment, typed, &[Problem::new(field, message)]).await
        }
        Err(error) => Err(error),
    }
}
