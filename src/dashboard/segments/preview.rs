//! What a filter holds for, as it is being put together: on the page, and for the script that counts while somebody types.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::PREVIEW;
use super::draft::{Draft, Wrong};
use crate::count::Preview;
use crate::dashboard::visit::{Visit, sent};
use crate::dashboard::{Dashboard, respond};
use crate::store::{Scope, StoreError, Whose};

/// The drawing of days: its width and height.
const WIDTH: f64 = 280.0;
const HEIGHT: f64 = 48.0;

/// What is said about a draft.
pub(super) struct Said {
    text: String,
    /// The filter, where there is one.
    words: String,
    /// The days as the outline of an area.
    outline: String,
    /// Whether asking again says more.
    is_unfinished: bool,
}

impl Said {
    fn only(text: String) -> Self {
        Self {
            text,
            words: String::new(),
            outline: String::new(),
            is_unfinished: false,
        }
    }

    /// Counts the draft's filter, or says what keeps it from being one.
    pub(super) async fn about(visit: &Visit<'_>, draft: &Draft) -> Result<Self, StoreError> {
        let asking = &visit.ready.asking;
        let texts = &asking.texts.segments;
        let filter = match draft.filter() {
            Ok(filter) => filter,
            Err(wrong) => return Ok(Self::only(in_short(visit, draft, &wrong))),
        };
        let (store, workspace) = (visit.dashboard.store(), &visit.ready.workspace);
        let counted = Preview::of(store, workspace, &filter, visit.dashboard.now()).await;
        let preview = match counted {
            Ok(preview) => preview,
            Err(StoreError::Counting(percent)) => {
                return Ok(Self {
                    text: (texts.being_counted)(percent),
                    words: filter.to_string(),
                    outline: String::new(),
                    is_unfinished: true,
                });
            }
            Err(error) => return Err(error),
        };
        let scope = Scope::Workspace(workspace.workspace.id);
        let all = store
            .count(scope, Whose::Everyone, preview.window.edges())
            .await?;
        let all: u64 = all.into_iter().sum();
        let share = preview.total() as f64 / all.max(1) as f64;
        Ok(Self {
            text: (texts.holds_for)(
                &asking.locale.whole(preview.total()),
                &asking.locale.percent(share),
                &asking.locale.whole(preview.users.total),
            ),
            words: filter.to_string(),
            outline: outline(finished(&preview.sessions)),
            is_unfinished: false,
        })
    }

    pub(super) fn card(&self, visit: &Visit<'_>) -> Markup {
        let texts = &visit.ready.asking.texts.segments;
        html! {
            section.card.preview #preview {
                .card-head { h2 { (texts.preview) } }
                p { strong.now role="status" { (self.text) } }
                svg viewBox={"0 0 " (WIDTH) " " (HEIGHT)} width=(WIDTH) height=(HEIGHT) aria-hidden="true" {
                    path d=(self.outline) {}
                }
                p.muted hidden[self.words.is_empty()] { (texts.in_words) " " bdi.words { (self.words) } }
            }
        }
    }
}

/// The first thing that is wrong. Who has just begun is told what to do instead.
fn in_short(visit: &Visit<'_>, draft: &Draft, wrong: &[Wrong]) -> String {
    let is_begun = draft
        .conditions()
        .iter()
        .any(|condition| !condition.field.is_empty() && !condition.value.is_empty());
    match wrong.first() {
        Some(wrong) if is_begun => wrong.message.clone(),
        _ => visit.ready.asking.texts.segments.not_yet.to_owned(),
    }
}

/// Without the running day, which would look like a fall.
fn finished(days: &[u64]) -> &[u64] {
    days.split_last().map_or(days, |(_, finished)| finished)
}

/// Days from left to right, the most at the top.
fn outline(days: &[u64]) -> String {
    let most = days.iter().copied().max().unwrap_or_default().max(1) as f64;
    let step = WIDTH / days.len().saturating_sub(1).max(1) as f64;
    let mut outline = format!("M0 {HEIGHT}");
    for (place, sessions) in days.iter().enumerate() {
        let (x, y) = (
            place as f64 * step,
            HEIGHT - 1.0 - (*sessions as f64 / most) * (HEIGHT - 2.0),
        );
        outline.push_str(&format!("L{x:.1} {y:.1}"));
    }
    outline.push_str(&format!("L{WIDTH} {HEIGHT}Z"));
    outline
}

/// `POST /ui/segments/preview`: the form as it is, and nothing is saved.
pub(super) async fn count(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, PREVIEW, async |visit, _, form| {
        let Some(_turn) = visit.dashboard.turn().await else {
            return Ok(visit.ready.asking.busy());
        };
        let said = Said::about(visit, &Draft::of_form(form)).await?;
        let told = serde_json::json!({
            "text": said.text, "words": said.words, "outline": said.outline, "again": said.is_unfinished,
        });
        Ok(respond::answer(
            StatusCode::OK,
            "application/json",
            told.to_string(),
        ))
    })
    .await
}
