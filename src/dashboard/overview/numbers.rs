//! The numbers of the overview. All of them are asked of the room that answers the API, in its words.

use std::collections::HashMap;
use std::sync::Arc;

use super::asked::{Asked, Compare, Metric};
use super::heat::Heat;
use super::subject::{Subject, question};
use crate::count::{
    Answer, Counter, GroupBy, GroupKey, MAX_POINTS, Metric as Counted, Question, QuestionError,
};
use crate::model::Millis;
use crate::series::{Cut, EndingAt, Range, Step, Window};
use crate::store::{Store, StoreError};

/// Groups that are told one by one.
const GROUPS: u32 = 10;

/// Where questions are answered.
pub(crate) struct Desk<'a> {
    pub(crate) counter: &'a Counter,
    pub(crate) store: &'a Arc<dyn Store>,
    pub(crate) asked: &'a Asked,
    pub(crate) subject: &'a Subject,
    pub(crate) now: Millis,
}

/// What the page shows.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) window: Window,
    /// Units that are over.
    pub(crate) finished: usize,
    /// The metric that is asked for, of each unit.
    pub(crate) values: Vec<f64>,
    /// The period before: its units, and the metric.
    pub(crate) before: Option<(Window, Vec<f64>)>,
    pub(crate) figures: Figures,
    pub(crate) groups: Vec<Group>,
    pub(crate) heat: Heat,
    /// The day (Unix seconds) of the first session that was asked for, told only where the period has none.
    pub(crate) first: Option<i64>,
}

/// Totals and averages. Those that nobody has counted yet are not there.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// All of the period.
    pub(crate) sessions: u64,
    /// Of both periods, up to the same time.
    pub(crate) fair: Option<Pair<u64>>,
    pub(crate) cut: Option<Cut>,
    /// Averages of units that are over.
    pub(crate) users: Option<Compared<f64>>,
    pub(crate) per_user: Option<Compared<f64>>,
    /// Of 30 days up to the end of the period.
    pub(crate) monthly_users: Option<Compared<u64>>,
    /// All of the period; of the units that are over, and of the same ones before.
    pub(crate) new_users: Option<(u64, Option<Pair<u64>>)>,
}

/// A number and the one that it is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<T> {
    pub(crate) now: T,
    pub(crate) before: T,
}

/// A number, compared if anything is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared<T> {
    pub(crate) now: T,
    pub(crate) before: Option<T>,
}

/// Sessions of one group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    pub(crate) counts: Vec<u64>,
    pub(crate) total: u64,
    /// Of the units that are over, and of the same ones before.
    pub(crate) fair: Option<Pair<u64>>,
}

/// What of users is known of a period, for each unit.
#[derive(Debug, Default)]
struct People {
    users: Option<Vec<u64>>,
    monthly: Option<Vec<u64>>,
    new: Option<Vec<u64>>,
}

impl Desk<'_> {
    /// The units that are asked for.
    ///
    /// # Errors
    /// When there can be none.
    pub(crate) fn window(&self) -> Result<Window, QuestionError> {
        let asked = self.asked;
        let range = Range::Last {
            length: u32::try_from(asked.length.get()).unwrap_or(1),
            ending_at: asked.ending_at.as_ref().map(|(_, end)| *end),
        };
        let units = asked.units();
        Ok(Window::of_range(
            units.zone,
            units.step,
            units.weeks_begin,
            &range,
            self.now,
        )?)
    }

    /// Asks for everything.
    ///
    /// # Errors
    /// Those of the room that counts. What is not counted yet is an error only where the chart shows it.
    pub(crate) async fn ask(&self) -> Result<Numbers, QuestionError> {
        let second = self.now.div_euclid(1000);
        let window = self.window()?;
        let finished = window
            .edges()
            .iter()
            .skip(1)
            .filter(|end| **end <= second)
            .count();
        let earlier = self.earlier(&window);
        let (sessions, sessions_before, people, people_before, groups, heat) = tokio::try_join!(
            self.sessions(&window),
            self.sessions_if(earlier.as_ref()),
            self.people(Some(&window)),
            self.people(earlier.as_ref()),
            self.groups(&window, earlier.as_ref(), finished),
            self.heat(&window, second),
        )?;
        let values = values(self.asked.metric, &sessions, &people)?;
        let before = match &earlier {
            None => None,
            Some(earlier) => {
                let values = self::values(self.asked.metric, &sessions_before, &people_before)?;
                Some((earlier.clone(), values))
            }
        };
        let both = earlier.is_some().then_some((&sessions_before, &people_before));
        let mut figures = figures((&sessions, &people), both, finished);
        if let Some(earlier) = &earlier {
            figures.cut = self.asked.units().cut(&window, earlier, second);
            figures.fair = Some(
                self.fair(&window, earlier, figures.cut, (&sessions, &sessions_before))
                    .await?,
            );
        }
        let first = if sessions.iter().all(|count| *count == 0) {
            self.subject.first(self.store.as_ref(), second).await?
        } else {
            None
        };
        Ok(Numbers {
            window,
            finished,
            values,
            before,
            figures,
            groups,
            heat,
            first,
        })
    }

    /// The series for a spreadsheet, and what its numbers are called: what the chart shows, where that is a number that can
    /// be asked for, with a line for each group if the chart has one.
    pub(crate) async fn table(&self) -> Result<(Arc<Answer>, &'static str), QuestionError> {
        let metric = match self.asked.metric {
            Metric::Sessions | Metric::PerUser | Metric::Stickiness => Counted::Sessions,
            Metric::Users => Counted::Dau,
            Metric::MonthlyUsers => Counted::Mau,
            Metric::NewUsers => Counted::NewUsers,
        };
        let splits = self.asked.split && metric == Counted::Sessions;
        let question = Question {
            metric,
            group_by: splits.then(|| GroupBy::Field(self.asked.grouping())),
            ..question(self.asked, self.asked.step, &self.window()?)
        };
        let workspace = &self.asked.workspace;
        let answer = self
            .counter
            .answer(self.store, workspace, &question, self.now)
            .await?;
        Ok((answer, metric.as_str()))
    }

    async fn answer(&self, question: &Question) -> Result<Vec<crate::count::Group>, QuestionError> {
        let workspace = &self.asked.workspace;
        let answer = self
            .counter
            .answer(self.store, workspace, question, self.now)
            .await?;
        Ok(answer.groups.clone())
    }

    /// What is counted of everyone.
    async fn first(&self, question: &Question) -> Result<Vec<u64>, QuestionError> {
        let groups = self.answer(question).await?;
        let first = groups.into_iter().next();
        Ok(first.map(|group| group.counts).unwrap_or_default())
    }

    async fn series(&self, metric: Counted, step: Step, window: &Window) -> Result<Vec<u64>, QuestionError> {
        let question = Question {
            metric,
            ..question(self.asked, step, window)
        };
        self.first(&question).await
    }

    /// Sessions of each unit.
    pub(crate) async fn sessions(&self, window: &Window) -> Result<Vec<u64>, QuestionError> {
        self.series(Counted::Sessions, self.asked.step, window).await
    }

    async fn sessions_if(&self, window: Option<&Window>) -> Result<Vec<u64>, QuestionError> {
        match window {
            None => Ok(Vec::new()),
            Some(window) => self.sessions(window).await,
        }
    }

    /// What is known of users in time.
    async fn people(&self, window: Option<&Window>) -> Result<People, QuestionError> {
        let Some(window) = window else {
            return Ok(People::default());
        };
        let (asked, step) = (self.asked, self.asked.step);
        let new = async {
            if Metric::NewUsers.fits(asked) {
                known(self.series(Counted::NewUsers, step, window).await)
            } else {
                Ok(None)
            }
        };
        let (users, monthly, new) = tokio::try_join!(
            async { known(self.series(Counted::Dau, step, window).await) },
            async { known(self.monthly(window).await) },
            new,
        )?;
        Ok(People { users, monthly, new })
    }

    /// Users of 30 days: of each day where the chart shows them, else of the last.
    async fn monthly(&self, window: &Window) -> Result<Vec<u64>, QuestionError> {
        let shown = matches!(self.asked.metric, Metric::MonthlyUsers | Metric::Stickiness);
        if shown {
            return self.series(Counted::Mau, Step::Day, window).await;
        }
        let last = window.edges().last().copied().unwrap_or_default();
        let question = Question {
            metric: Counted::Mau,
            range: Range::Last {
                length: 1,
                ending_at: Some(EndingAt::Second(last - 1)),
            },
            ..question(self.asked, Step::Day, window)
        };
        self.first(&question).await
    }

    /// Sessions by group, and how they changed.
    pub(crate) async fn groups(
        &self,
        window: &Window,
        earlier: Option<&Window>,
        finished: usize,
    ) -> Result<Vec<Group>, QuestionError> {
        let by = |window: &Window, limit: u32| Question {
            group_by: Some(GroupBy::Field(self.asked.grouping())),
            limit,
            ..question(self.asked, self.asked.step, window)
        };
        let now = self.answer(&by(window, GROUPS)).await?;
        let before: Option<HashMap<GroupKey, u64>> = match earlier {
            None => None,
            Some(earlier) => {
                // All of them: those that are the largest now may have been small.
                let units = earlier.labels().len().max(1);
                let most = u32::try_from(MAX_POINTS / units - 1).unwrap_or(GROUPS).min(1_000);
                let groups = self.answer(&by(earlier, most)).await?;
                let sum = |counts: &[u64]| counts.iter().take(finished).sum();
                Some(
                    groups
                        .into_iter()
                        .map(|group| (group.key, sum(&group.counts)))
                        .collect(),
                )
            }
        };
        let told = |group: crate::count::Group| {
            let over = group.counts.iter().take(finished).sum();
            let before = before
                .as_ref()
                .filter(|_| finished > 0 && group.key != GroupKey::Others);
            Group {
                total: group.counts.iter().sum(),
                fair: before.map(|before| Pair {
                    now: over,
                    before: before.get(&group.key).copied().unwrap_or_default(),
                }),
                key: group.key,
                counts: group.counts,
            }
        };
        Ok(now.into_iter().map(told).collect())
    }

    fn earlier(&self, window: &Window) -> Option<Window> {
        let units = self.asked.units();
        match self.asked.compare {
            Compare::None => None,
            Compare::Exact => units.just_before(window),
            // Months have no common weekdays.
            Compare::Weeks if self.asked.step == Step::Month => units.just_before(window),
            Compare::Weeks | Compare::Year => units.days_earlier(window, shift(self.asked)),
        }
    }

    async fn fair(
        &self,
        window: &Window,
        earlier: &Window,
        cut: Option<Cut>,
        (sessions, before): (&[u64], &[u64]),
    ) -> Result<Pair<u64>, StoreError> {
        let Some(cut) = cut else {
            return Ok(Pair {
                now: sessions.iter().sum(),
                before: before.iter().sum(),
            });
        };
        let store = self.store.as_ref();
        let (now, before) = tokio::try_join!(
            self.subject.total_up_to(store, window, cut.at),
            self.subject.total_up_to(store, earlier, cut.earlier_at),
        )?;
        Ok(Pair { now, before })
    }
}

/// Whole days by which a comparison is shifted, by the clocks of the workspace.
pub(crate) fn shift(asked: &Asked) -> i64 {
    let units = i64::try_from(asked.length.get()).unwrap_or(100);
    let days = match asked.step {
        Step::Hour => (units + 23) / 24,
        Step::Week => units * 7,
        Step::Day | Step::Month | Step::Total => units,
    };
    match asked.compare {
        Compare::Year => 364,
        _ => (days + 6) / 7 * 7,
    }
}

/// What is still being counted is not known.
fn known<T>(answer: Result<T, QuestionError>) -> Result<Option<T>, QuestionError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(QuestionError::Store(StoreError::Counting(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A metric of each unit.
fn values(metric: Metric, sessions: &[u64], people: &People) -> Result<Vec<f64>, QuestionError> {
    let counting = || QuestionError::Store(StoreError::Counting(0));
    let of = |counts: &Option<Vec<u64>>| counts.clone().ok_or_else(counting);
    let floats = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect();
    let ratios = |over: &[u64], under: &[u64]| {
        let pairs = over.iter().zip(under);
        pairs
            .map(|(over, under)| ratio(*over as f64, *under as f64))
            .collect()
    };
    Ok(match metric {
        Metric::Sessions => floats(sessions),
        Metric::Users => floats(&of(&people.users)?),
        Metric::MonthlyUsers => floats(&of(&people.monthly)?),
        Metric::NewUsers => floats(&of(&people.new)?),
        Metric::PerUser => ratios(sessions, &of(&people.users)?),
        Metric::Stickiness => ratios(&of(&people.users)?, &of(&people.monthly)?),
    })
}

fn ratio(over: f64, under: f64) -> f64 {
    if under > 0.0 { over / under } else { 0.0 }
}

fn figures(
    (sessions, people): (&[u64], &People),
    before: Option<(&Vec<u64>, &People)>,
    finished: usize,
) -> Figures {
    // Where no unit is over, the running one is all there is.
    let units = finished.max(1);
    let sum = |counts: &[u64]| counts.iter().take(units).sum::<u64>() as f64;
    let average = |counts: &[u64]| sum(counts) / units.min(counts.len()).max(1) as f64;
    let compared = |now: Option<f64>, before: Option<f64>| now.map(|now| Compared { now, before });
    let per_user = |sessions: &[u64], users: &[u64]| ratio(sum(sessions), sum(users));
    let before_users = before.and_then(|(sessions, people)| Some((sessions, people.users.as_ref()?)));
    let last = |people: &People| people.monthly.as_ref().and_then(|counts| counts.last().copied());
    let new = |people: &People| people.new.as_ref().map(|counts| counts.iter().sum::<u64>());
    // A running unit is not compared with one that is over.
    let new_over = |people: &People| {
        people
            .new
            .as_ref()
            .map(|counts| counts.iter().take(finished).sum::<u64>())
    };
    let new_fair = || {
        let (now, before) = (new_over(people)?, new_over(before?.1)?);
        (finished > 0).then_some(Pair { now, before })
    };
    Figures {
        sessions: sessions.iter().sum(),
        fair: None,
        cut: None,
        users: compared(
            people.users.as_deref().map(average),
            before_users.map(|(_, users)| average(users)),
        ),
        per_user: compared(
            people.users.as_deref().map(|users| per_user(sessions, users)),
            before_users.map(|(sessions, users)| per_user(sessions, users)),
        ),
        monthly_users: last(people).map(|now| Compared {
            now,
            before: before.and_then(|(_, people)| last(people)),
        }),
        new_users: new(people).map(|all| (all, new_fair())),
    }
}
