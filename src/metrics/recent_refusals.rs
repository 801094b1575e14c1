//! What the recording endpoints refused of late, and why: a short list for whoever sets up a client and sees nothing come in.
//!
//! It is bounded, lives in memory only, and has nothing that a client sent, but for ids of apps that are not known: these are
//! public.

use parking_lot::Mutex;

use crate::model::{AppId, Millis, WorkspaceId};

/// Refusals that are remembered; another one takes the place of the oldest.
const MAX: usize = 32;
/// Unknown apps that are told apart where everything else is the same: who guesses ids pushes nothing else out.
const MAX_APPS: usize = 8;
/// How long a refusal is of any interest.
const LATELY: Millis = 3_600_000;

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecording {
    /// Of the caller's key; `None` where there was no key that is known.
    pub workspace: Option<WorkspaceId>,
    /// The route's pattern, for example `/sessions/collect`.
    pub endpoint: String,
    /// In the words of the answer, without anything that was sent.
    pub reason: String,
    /// The app, where that is what is not known.
    pub app: Option<AppId>,
}

/// The same, with how often and when.
#[derive(Debug, Clone)]
pub struct RecentRefusal {
    /// What.
    pub what: RefusedRecording,
    /// How often.
    pub count: u64,
    /// When last, in Unix milliseconds.
    pub last: Millis,
}

/// See the module.
#[derive(Debug, Default)]
pub struct RecentRefusals(Mutex<Vec<RecentRefusal>>);

impl RecentRefusals {
    /// Remembers a refusal.
    pub fn note(&self, what: RefusedRecording, now: Millis) {
        let mut known = self.0.lock();
        if let Some(same) = known.iter_mut().find(|known| known.what == what) {
            same.count += 1;
            same.last = same.last.max(now);
            return;
        }
        let is_twin = |other: &RecentRefusal| {
            let apps = what.app.is_some() && other.what.app.is_some();
            apps && other.what.workspace == what.workspace
                && other.what.endpoint == what.endpoint
                && other.what.reason == what.reason
        };
        if known.iter().filter(|other| is_twin(other)).count() >= MAX_APPS {
            remove_oldest(&mut known, is_twin);
        } else if known.len() >= MAX {
            remove_oldest(&mut known, |_| true);
        }
        known.push(RecentRefusal {
            what,
            count: 1,
            last: now,
        });
    }

    /// Those of the last hour that a workspace may be concerned by, the newest first: of its keys, and without a known key.
    pub fn of(&self, workspace: WorkspaceId, now: Millis) -> Vec<RecentRefusal> {
        let known = self.0.lock();
        let concerns = |refusal: &&RecentRefusal| {
            let of_here = refusal.what.workspace.is_none_or(|of| of == workspace);
            of_here && now - refusal.last < LATELY
        };
        let mut found: Vec<RecentRefusal> = known.iter().filter(concerns).cloned().collect();
        drop(known);
        found.sort_by_key(|refusal| std::cmp::Reverse(refusal.last));
        found
    }
}

fn remove_oldest(known: &mut Vec<RecentRefusal>, among: impl Fn(&RecentRefusal) -> bool) {
    let candidates = known.iter().enumerate().filter(|(_, refusal)| among(refusal));
    let oldest = candidates.min_by_key(|(_, refusal)| refusal.last);
    if let Some((place, _)) = oldest {
        known.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(reason: &str, app: Option<AppId>) -> RefusedRecording {
        RefusedRecording {
            workspace: None,
            endpoint: "/sessions/collect".to_owned(),
            reason: reason.to_owned(),
            app,
        }
    }

    #[test]
    fn the_list_is_bounded_and_guesses_push_nothing_else_out() {
        let (refusals, workspace) = (RecentRefusals::default(), WorkspaceId::random());
        refusals.note(refusal("body", None), 1);
        for now in 2..200 {
            refusals.note(refusal("app", Some(AppId::random())), now);
        }
        let found = refusals.of(workspace, 200);
        assert_eq!(found.len(), 1 + MAX_APPS);
        assert_eq!(
            (found[0].last, found[MAX_APPS].what.reason.as_str()),
            (199, "body")
        );
        for now in 200..400 {
            refusals.note(refusal(&now.to_string(), None), now);
        }
        assert_eq!(refusals.of(workspace, 400).len(), MAX);
    }

    #[test]
    fn the_same_is_counted_and_of_other_workspaces_or_long_ago_is_not_told() {
        let (refusals, workspace) = (RecentRefusals::default(), WorkspaceId::random());
        for now in [5, 7, 6] {
            refusals.note(refusal("body", None), now);
        }
        let mut of_a_key = refusal("body", None);
        of_a_key.workspace = Some(WorkspaceId::random());
        refusals.note(of_a_key.clone(), 8);
        let found = refusals.of(workspace, 9);
        assert_eq!((found.len(), found[0].count, found[0].last), (1, 3, 7));
        assert_eq!(refusals.of(of_a_key.workspace.unwrap(), 9).len(), 2);
        assert!(refusals.of(workspace, 7 + LATELY).is_empty());
    }
}
