//! Who answers.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use siphasher::sip128::SipHasher13;
use tokio::sync::Semaphore;

use super::answer::{Answer, Group, GroupKey};
use super::asked::Asked;
use super::breakdown::{self, Breakdown};
use super::distinct::{self, Remembered, Users};
use super::flights::{Flights, Outcome};
use super::known::Known;
use super::new_users::{self, Firsts};
use super::question::{GroupBy, Metric, Question, QuestionError};
use super::recent::Recent;
use super::sizes::{self, Latests};
use super::states::States;
use super::versions::{Fingerprint, fingerprint};
use super::walk::{Progress, Whose};
use crate::model::{Filter, Millis};
use crate::store::{self, DayVersion, Scope, Store, StoreError, WorkspaceEntry};

/// Memory for answers, for who was first seen when, and for everybody's latest session, about.
const ANSWERS: usize = 32 << 20;
const FIRSTS: usize = 64 << 20;
const LATESTS: usize = 128 << 20;
/// Questions that are counted at one time.
const AT_ONCE: usize = 4;

/// Answers questions, and holds what it needs to answer soon. One a process; clones are handles.
#[derive(Clone)]
pub struct Counter(Arc<Shared>);

struct Shared {
    /// Has a random key, and nothing else yet.
    hasher: SipHasher13,
    known: Known,
    answers: Mutex<Recent<u128, (Fingerprint, Arc<Answer>)>>,
    remembered: Remembered,
    firsts: States<Firsts>,
    latests: States<Latests>,
    flights: Flights,
    turns: Semaphore,
}

impl Default for Counter {
    fn default() -> Self {
        let random = || RandomState::new().hash_one(());
        Self(Arc::new(Shared {
            hasher: SipHasher13::new_with_keys(random(), random()),
            known: Known::default(),
            answers: Mutex::default(),
            remembered: Remembered::default(),
            firsts: States::default(),
            latests: States::default(),
            flights: Flights::default(),
            turns: Semaphore::new(AT_ONCE),
        }))
    }
}

impl Counter {
    /// The answer to a question about a workspace, with every session that was acknowledged before. `now` is where ranges
    /// end that don't say where.
    ///
    /// # Errors
    /// [`StoreError::Counting`] where it takes more than a few seconds: the work goes on, and the same question is answered
    /// at once when it is done. Else what is wrong with the question, or with the store.
    pub async fn answer(
        &self,
        store: &Arc<dyn Store>,
        workspace: &WorkspaceEntry,
        question: &Question,
        now: Millis,
    ) -> Result<Arc<Answer>, QuestionError> {
        let asked = Asked::new(workspace, question, now)?;
        if asked.metric == Metric::Sessions && asked.field().is_none() {
            return sessions(store.as_ref(), &asked).await.map(Arc::new);
        }
        let days = match asked.days() {
            Some(range) => store.days(&asked.apps, range).await?,
            None => Vec::new(),
        };
        let shared = &self.0;
        let key = asked.key(shared.hasher);
        let of = fingerprint(shared.hasher, &days);
        let held = shared.answers.lock().get(&key);
        if let Some((_, answer)) = held.as_deref().filter(|(known, _)| *known == of) {
            return Ok(answer.clone());
        }
        let (shared, store) = (shared.clone(), store.clone());
        self.0
            .flights
            .join((key, of), move |progress| async move {
                shared.count_and_hold(key, store, asked, days, progress).await
            })
            .await
    }

    /// The same, however long it takes; `progress` hears how many percent are counted.
    ///
    /// # Errors
    /// As [`Counter::answer`], but [`StoreError::Counting`].
    pub async fn answer_patiently(
        &self,
        store: &Arc<dyn Store>,
        workspace: &WorkspaceEntry,
        question: &Question,
        now: Millis,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Arc<Answer>, QuestionError> {
        loop {
            match self.answer(store, workspace, question, now).await {
                Err(QuestionError::Store(StoreError::Counting(percent))) => progress(percent),
                answer => return answer,
            }
        }
    }
}

impl Shared {
    async fn count_and_hold(
        &self,
        key: u128,
        store: Arc<dyn Store>,
        asked: Asked,
        mut days: Vec<DayVersion>,
        progress: Arc<Progress>,
    ) -> Outcome {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| StoreError::Unavailable("the store is closed".into()))?;
        let whose = Whose {
            store,
            workspace: asked.workspace,
            apps: asked.apps.clone(),
            filter: asked
                .filter
                .as_ref()
                .map(|filter| self.known.filter(asked.workspace, filter)),
            field: asked
                .field()
                .map(|field| self.known.field(asked.workspace, field)),
            progress,
        };
        let counted = self.count(&whose, &asked, &mut days).await;
        self.known.shrink();
        let answer = Arc::new(counted?);
        let mut answers = self.answers.lock();
        answers.put(key, Arc::new((fingerprint(self.hasher, &days), answer.clone())));
        answers.shrink_to(ANSWERS, |(_, answer)| bytes(answer));
        Ok(answer)
    }

    async fn count(
        &self,
        whose: &Whose,
        asked: &Asked,
        days: &mut Vec<DayVersion>,
    ) -> Result<Answer, QuestionError> {
        let everyone = |counts: Vec<u64>, total: Option<u64>| Answer {
            window: asked.window.clone(),
            groups: vec![Group {
                key: GroupKey::Everyone,
                counts,
                total,
            }],
            total,
        };
        let grouped = |Breakdown { groups, total }: Breakdown| Answer {
            window: asked.window.clone(),
            groups,
            total: Some(total),
        };
        match (asked.metric, &asked.group_by) {
            (Metric::NewUsers, _) => {
                let mut firsts = self.firsts.of(asked.workspace, &asked.apps).await;
                let counts = new_users::count(&mut firsts.state, whose, asked, days).await;
                firsts.give_back(FIRSTS);
                let counts = counts?;
                let total = counts.iter().sum();
                Ok(everyone(counts, Some(total)))
            }
            (Metric::Size, _) => {
                let mut latests = self.latests.of(asked.workspace, &asked.apps).await;
                let (remembered, hasher) = (&self.remembered, self.hasher);
                let sizes = sizes::count(&mut latests.state, remembered, hasher, whose, asked, days).await;
                latests.give_back(LATESTS);
                Ok(everyone(sizes?, None))
            }
            (Metric::Sessions, Some(GroupBy::Field(_))) => {
                Ok(grouped(breakdown::sessions(whose, asked, days).await?))
            }
            (_, Some(GroupBy::Field(_))) if whose.field.is_some() => {
                Ok(grouped(breakdown::users(whose, asked, days).await?))
            }
            (_, None) => {
                let Users { counts, total } = self.users(whose, asked, days).await?;
                Ok(everyone(counts, total))
            }
            (_, Some(_)) => self.users_of_nouns(whose, asked, days).await,
        }
    }

    async fn users(
        &self,
        whose: &Whose,
        asked: &Asked,
        days: &mut [DayVersion],
    ) -> Result<Users, StoreError> {
        distinct::count(&self.remembered, self.hasher, whose, asked, days).await
    }

    /// Users by app or by segment, each counted on its own.
    async fn users_of_nouns(
        &self,
        whose: &Whose,
        asked: &Asked,
        days: &mut [DayVersion],
    ) -> Result<Answer, QuestionError> {
        let all = self.users(whose, asked, days).await?;
        let mut groups = Vec::new();
        for (key, whose) in self.nouns(whose, asked) {
            let mut own: Vec<DayVersion> = days
                .iter()
                .filter(|day| whose.apps.contains(&day.app))
                .copied()
                .collect();
            let users = self.users(&whose, asked, &mut own).await?;
            let total = users.total.unwrap_or_else(|| users.counts.iter().sum());
            if total > 0 {
                groups.push((total, key, users.counts));
            }
        }
        let groups = largest(groups, asked.limit);
        asked.check_points(groups.len())?;
        Ok(Answer {
            window: asked.window.clone(),
            groups,
            total: all.total,
        })
    }

    /// Each app or segment that is asked for, and whose users are its own.
    fn nouns(&self, whose: &Whose, asked: &Asked) -> Vec<(GroupKey, Whose)> {
        if asked.group_by == Some(GroupBy::Segment) {
            let segments = asked.segments.iter().map(|(id, filter)| {
                let filter = Some(self.known.filter(asked.workspace, filter));
                (
                    GroupKey::Segment(*id),
                    Whose {
                        filter,
                        ..whose.clone()
                    },
                )
            });
            return segments.collect();
        }
        let apps = asked.apps.iter().map(|app| {
            let apps = Arc::from([*app]);
            (
                GroupKey::App(*app),
                Whose {
                    apps,
                    ..whose.clone()
                },
            )
        });
        apps.collect()
    }
}

/// Groups with their totals, the largest first, of equal ones the lesser key.
fn largest(mut groups: Vec<(u64, GroupKey, Vec<u64>)>, limit: usize) -> Vec<Group> {
    groups.sort_unstable_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    groups.truncate(limit);
    let group = |(total, key, counts)| Group {
        key,
        counts,
        total: Some(total),
    };
    groups.into_iter().map(group).collect()
}

/// Sessions as the store counts them: of everyone, or of each app or segment.
async fn sessions(store: &dyn Store, asked: &Asked) -> Result<Answer, QuestionError> {
    let whose = match (&asked.segment, &asked.filter) {
        (Some(segment), _) => store::Whose::Segment(*segment),
        (None, Some(filter)) => store::Whose::Filter(filter),
        (None, None) => store::Whose::Everyone,
    };
    let all = of_apps(store, asked, whose).await?;
    let total: u64 = all.iter().sum();
    let answer = |groups| Answer {
        window: asked.window.clone(),
        groups,
        total: Some(total),
    };
    let mut groups = Vec::new();
    match &asked.group_by {
        None => {
            return Ok(answer(vec![Group {
                key: GroupKey::Everyone,
                counts: all,
                total: Some(total),
            }]));
        }
        Some(GroupBy::Segment) => {
            for (id, filter) in &asked.segments {
                groups.push((GroupKey::Segment(*id), of_segment(store, asked, filter).await?));
            }
        }
        Some(GroupBy::Field(_)) => {
            for app in asked.apps.iter() {
                let counts = store.count(Scope::App(*app), whose, &asked.edges).await?;
                groups.push((GroupKey::App(*app), counts));
            }
        }
    }
    let groups = groups
        .into_iter()
        .map(|(key, counts)| (counts.iter().sum(), key, counts));
    let groups: Vec<_> = groups.filter(|(sum, ..)| *sum > 0).collect();
    // Sessions of several segments would be counted several times.
    let has_others = groups.len() > asked.limit && asked.group_by != Some(GroupBy::Segment);
    let mut groups = largest(groups, asked.limit);
    asked.check_points(groups.len() + usize::from(has_others))?;
    if has_others {
        groups.push(breakdown::others(&all, &groups));
    }
    Ok(answer(groups))
}

async fn of_segment(store: &dyn Store, asked: &Asked, filter: &Filter) -> Result<Vec<u64>, StoreError> {
    of_apps(store, asked, store::Whose::Filter(filter)).await
}

/// Of all apps that are asked for together.
async fn of_apps(store: &dyn Store, asked: &Asked, whose: store::Whose<'_>) -> Result<Vec<u64>, StoreError> {
    if asked.is_all_apps {
        return store
            .count(Scope::Workspace(asked.workspace), whose, &asked.edges)
            .await;
    }
    let mut sums = vec![0; asked.edges.len().saturating_sub(1)];
    for app in asked.apps.iter() {
        let counts = store.count(Scope::App(*app), whose, &asked.edges).await?;
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    Ok(sums)
}

/// Memory that an answer takes, about.
fn bytes(answer: &Answer) -> usize {
    let units = answer.window.labels().len();
    units * 40 + answer.groups.len() * (units * 8 + 100) + 200
}
