//! Numbers as they are expected, and rows as they are found.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ask;
use super::naive::{self, Calendar, canonical};
use crate::segments::Caller;
use crate::segments::naive::Session;

/// The rows of an answer are in CSV as well.
pub(super) fn check_csv(caller: Caller<'_>, query: &str, answer: &Value, metric: &str, is_grouped: bool) {
    let csv = ask(caller, &format!("{query}&format=csv"));
    assert_eq!(csv.status, 200, "{query}: {}", csv.text);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let mut lines = csv.text.lines();
    let columns = if is_grouped {
        format!("time,group,{metric}")
    } else {
        format!("time,{metric}")
    };
    assert_eq!(lines.next(), Some(columns.as_str()));
    let rows = answer["data"].as_array().unwrap();
    for row in rows {
        let line = lines.next().unwrap();
        assert!(line.starts_with(row["time"].as_str().unwrap()), "{line} {row}");
        assert!(line.ends_with(&format!(",{}", row[metric])), "{line} {row}");
        if row["others"] == true {
            assert!(line.contains(",(others),"), "{line}");
        } else if is_grouped && row["group"].is_null() {
            assert!(line.contains(",,"), "{line}");
        }
    }
    assert_eq!(lines.next(), None);
}

/// How numbers are found.
pub(super) struct Totals<'a> {
    pub(super) calendar: &'a Calendar,
    pub(super) step: &'a str,
    pub(super) labels: &'a [String],
    /// Of a total, which is one unit, all days count.
    pub(super) days: Option<Vec<String>>,
    pub(super) is_users: bool,
}

impl Totals<'_> {
    pub(super) fn numbers<'s>(&self, sessions: impl Iterator<Item = &'s Session>) -> (Vec<u64>, u64) {
        match &self.days {
            None => naive::numbers(self.calendar, self.step, self.labels, self.is_users, sessions),
            Some(days) => {
                let (_, total) = naive::numbers(self.calendar, "day", days, self.is_users, sessions);
                (vec![total], total)
            }
        }
    }
}

/// The rows of an answer by group.
pub(super) struct Rows {
    pub(super) groups: BTreeMap<String, Vec<u64>>,
    /// In the order of the answer.
    order: Vec<String>,
}

impl Rows {
    pub(super) fn read(answer: &Value, metric: &str, labels: &[String]) -> Self {
        let rows = answer["data"].as_array().unwrap();
        let mut groups = BTreeMap::<String, Vec<u64>>::new();
        let mut order = Vec::new();
        let mut times = Vec::<String>::new();
        for row in rows {
            let time = row["time"].as_str().unwrap().to_owned();
            if times.last() != Some(&time) {
                times.push(time);
            }
            let key = match (row.get("group"), row.get("others")) {
                (None, None) => "everyone".to_owned(),
                (_, Some(_)) => "others".to_owned(),
                (group, None) => canonical(group),
            };
            if times.len() == 1 {
                order.push(key.clone());
            }
            groups.entry(key).or_default().push(row[metric].as_u64().unwrap());
        }
        if !rows.is_empty() {
            assert_eq!(times, labels);
        }
        assert!(groups.values().all(|counts| counts.len() == labels.len()));
        Self { groups, order }
    }

    /// The groups of the answer are the largest ones, each with its numbers, and behind them the others.
    pub(super) fn check(
        mut self,
        expected: &BTreeMap<String, (Vec<u64>, u64)>,
        everyone: &[u64],
        limit: usize,
        has_no_others: bool,
        query: &str,
    ) {
        let others = self.groups.remove("others");
        let is_cut = expected.len() > limit;
        assert_eq!(others.is_some(), is_cut && !has_no_others, "{query}");
        assert_eq!(self.groups.len(), expected.len().min(limit), "{query}");
        let mut rest = everyone.to_vec();
        for (key, counts) in &self.groups {
            let (wanted, _) = expected.get(key).unwrap_or_else(|| panic!("{key}: {query}"));
            assert_eq!(counts, wanted, "{key}: {query}");
            rest.iter_mut()
                .zip(counts)
                .for_each(|(rest, count)| *rest = rest.saturating_sub(*count));
        }
        if let Some(others) = others {
            assert_eq!(others, rest, "{query}");
            assert_eq!(self.order.pop().unwrap(), "others");
        }
        let totals: Vec<u64> = self.order.iter().map(|key| expected[key].1).collect();
        let mut largest: Vec<u64> = expected.values().map(|(_, total)| *total).collect();
        largest.sort_unstable_by(|one, other| other.cmp(one));
        largest.truncate(limit);
        assert_eq!(totals, largest, "{query}");
    }
}
