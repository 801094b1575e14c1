//! When people come: sessions by hour of the week.

use super::numbers::Desk;
use super::subject::question;
use crate::count::{Question, QuestionError};
use crate::dashboard::dates;
use crate::model::Weekday;
use crate::series::{EndingAt, Range, Step, Window};

/// Days over which hours of the week are averaged where the page itself shows hours.
const HEAT_DAYS: i64 = 28;
const DAY: i64 = 86_400;

/// Average sessions an hour, by day of the week from Monday on and hour; `None` where no such hour is over.
#[derive(Debug, Default)]
pub(crate) struct Heat(pub(crate) [[Option<f64>; 24]; 7]);

impl Heat {
    /// The days of a week that begins on this one: how many days after Monday each is, and its hours.
    pub(crate) fn week_from(&self, first: Weekday) -> impl Iterator<Item = (usize, &[Option<f64>; 24])> {
        let days = self.0.iter().enumerate().cycle();
        days.skip(first as usize).take(self.0.len())
    }

    /// Where the average is the greatest, if there is a session at all: day, hour, average.
    pub(crate) fn peak(&self) -> Option<(usize, usize, f64)> {
        let cells = self.0.iter().enumerate().flat_map(|(day, hours)| {
            let hours = hours.iter().enumerate();
            hours.filter_map(move |(hour, average)| average.map(|average| (day, hour, average)))
        });
        cells
            .filter(|(.., average)| *average > 0.0)
            .fold(None, |best: Option<(usize, usize, f64)>, cell| match best {
                Some(best) if best.2 >= cell.2 => Some(best),
                _ => Some(cell),
            })
    }
}

impl Desk<'_> {
    /// Averages over the hours of a window that are over at an instant (Unix seconds).
    pub(super) async fn heat(&self, window: &Window, second: i64) -> Result<Heat, QuestionError> {
        let edges = window.edges();
        let (Some(first), Some(last)) = (edges.first().copied(), edges.last().copied()) else {
            return Ok(Heat::default());
        };
        let start = match self.asked.step {
            Step::Hour => last - HEAT_DAYS * DAY,
            _ => first,
        };
        if start >= second {
            return Ok(Heat::default());
        }
        let question = Question {
            range: Range::Between {
                from: EndingAt::Second(start),
                to: Some(EndingAt::Second(last.min(second) - 1)),
            },
            ..question(self.asked, Step::Hour, window)
        };
        let answer = self
            .counter
            .answer(self.store, &self.asked.workspace, &question, self.now)
            .await?;
        let counts = answer
            .groups
            .first()
            .map(|group| group.counts.as_slice())
            .unwrap_or_default();
        let edges = answer.window.edges();
        let mut sums = [[(0_u64, 0_i64); 24]; 7];
        let hours = answer
            .window
            .labels()
            .zip(edges)
            .zip(edges.iter().skip(1))
            .zip(counts);
        for (((label, start), end), count) in hours.filter(|((_, end), _)| **end <= second) {
            let cell = dates::hour_of_week(label)
                .and_then(|(day, hour)| sums.get_mut(day).and_then(|hours| hours.get_mut(hour)));
            if let Some((sessions, seconds)) = cell {
                *sessions += count;
                *seconds += end - start;
            }
        }
        let average = |(sessions, seconds): (u64, i64)| {
            (seconds > 0).then(|| sessions as f64 * 3600.0 / seconds as f64)
        };
        Ok(Heat(sums.map(|hours| hours.map(average))))
    }
}
