//! A table with a bar for each row, in the width there is, without colour.

use std::fmt;

/// One to seven eighths of a block.
const EIGHTHS: [&str; 7] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BLOCK: &str = "█";
const TOTAL: &str = "total";
/// Stands behind the label of a unit that is not over, and before what that means.
const UNFINISHED: &str = "*";
const GAP: &str = "  ";

/// A unit or a group, and its number.
pub(super) struct Row {
    /// What it is called.
    pub(super) label: String,
    /// The number as it is shown.
    pub(super) shown: String,
    /// How long the bar is, beside those of the other rows.
    pub(super) size: u64,
    /// Whether it goes on, so that there may be more.
    pub(super) unfinished: bool,
}

/// What is drawn; its `Display` is the drawing.
pub(super) struct Chart {
    /// In their order.
    pub(super) rows: Vec<Row>,
    /// The number of all rows, where there is one.
    pub(super) total: Option<String>,
    /// Columns that a line may have. Labels and counts are never cut: where there is no room, there are no bars.
    pub(super) width: usize,
    /// Bars of block characters, in eighths; of `#` otherwise.
    pub(super) blocks: bool,
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marked: Vec<String> = self.rows.iter().map(Row::marked).collect();
        let total_label = self.total.as_ref().map(|_| TOTAL.to_owned());
        let labels = marked
            .iter()
            .chain(&total_label)
            .map(|label| columns(label))
            .max();
        let labels = labels.unwrap_or(0);
        let numbers = self.rows.iter().map(|row| &row.shown).chain(&self.total);
        let numbers = numbers.map(String::len).max().unwrap_or(0);
        let room = self.width.saturating_sub(labels + numbers + 2 * GAP.len());
        let most = self.rows.iter().map(|row| row.size).max().unwrap_or(0);
        for (row, label) in self.rows.iter().zip(&marked) {
            let padding = " ".repeat(labels.saturating_sub(columns(label)));
            let bar = bar(row.size, most, room, self.blocks);
            let line = format!("{label}{padding}{GAP}{:>numbers$}{GAP}{bar}", row.shown);
            writeln!(f, "{}", line.trim_end())?;
        }
        if let Some(total) = &self.total {
            writeln!(f, "{TOTAL:labels$}{GAP}{total:>numbers$}")?;
        }
        if self.rows.iter().any(|row| row.unfinished) {
            writeln!(f, "{UNFINISHED} not over yet")
        } else {
            Ok(())
        }
    }
}

impl Row {
    fn marked(&self) -> String {
        if self.unfinished {
            format!("{}{UNFINISHED}", self.label)
        } else {
            self.label.clone()
        }
    }
}

/// Columns that a text takes.
fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The bar of `sessions`, where `most` fills the room. Anything above 0 can be seen.
fn bar(sessions: u64, most: u64, room: usize, blocks: bool) -> String {
    if sessions == 0 || room == 0 {
        return String::new();
    }
    let steps = if blocks { 8 } else { 1 };
    let full = u128::try_from(room * steps).unwrap_or(u128::MAX);
    let length = (u128::from(sessions) * full + u128::from(most) / 2) / u128::from(most.max(1));
    let length = usize::try_from(length).unwrap_or(0).clamp(1, room * steps);
    if !blocks {
        return "#".repeat(length);
    }
    let rest = (length % 8).checked_sub(1).and_then(|index| EIGHTHS.get(index));
    format!(
        "{}{}",
        BLOCK.repeat(length / 8),
        rest.copied().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::thousands;

    fn chart(counts: &[u64], width: usize, blocks: bool) -> String {
        let rows = counts
            .iter()
            .enumerate()
            .map(|(day, sessions)| Row {
                label: format!("2018-06-{:02}", day + 1),
                shown: thousands(*sessions),
                size: *sessions,
                unfinished: false,
            })
            .collect();
        let total = Some(thousands(counts.iter().sum()));
        Chart {
            rows,
            total,
            width,
            blocks,
        }
        .to_string()
    }

    #[test]
    fn the_largest_count_fills_the_width_and_no_line_is_longer() {
        for width in [40, 80, 200] {
            for blocks in [true, false] {
                let text = chart(&[1_234, 617, 0, 1], width, blocks);
                let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
                assert_eq!(widths[0], width, "{text}");
                assert!(widths.iter().all(|line| *line <= width), "{text}");
            }
        }
    }

    #[test]
    fn counts_stand_right_aligned_with_a_total() {
        assert_eq!(
            chart(&[1_000, 500, 0, 1], 29, false),
            "2018-06-01  1,000  ##########\n\
             2018-06-02    500  #####\n\
             2018-06-03      0\n\
             2018-06-04      1  #\n\
             total       1,501\n"
        );
    }

    #[test]
    fn what_is_not_over_is_marked() {
        let row = |label: &str, unfinished| Row {
            label: label.to_owned(),
            shown: "1".to_owned(),
            size: 1,
            unfinished,
        };
        let rows = vec![row("2018-06-01", false), row("2018-06-02", true)];
        let chart = Chart {
            rows,
            total: Some("2".to_owned()),
            width: 18,
            blocks: false,
        };
        assert_eq!(
            chart.to_string(),
            "2018-06-01   1  ##\n2018-06-02*  1  ##\ntotal        2\n* not over yet\n"
        );
    }

    #[test]
    fn blocks_have_eighths() {
        assert_eq!(bar(8, 8, 1, true), "█");
        assert_eq!(bar(1, 16, 2, true), "▏");
        assert_eq!(bar(15, 16, 2, true), "█▉");
        assert_eq!(bar(1, 1_000_000, 2, true), "▏");
        assert_eq!(bar(0, 16, 2, true), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 3, true), "███");
    }

    #[test]
    fn where_there_is_no_room_the_numbers_stay() {
        assert_eq!(chart(&[12], 10, true), "2018-06-01  12\ntotal       12\n");
        assert_eq!(
            chart(&[0, 0], 80, true),
            "2018-06-01  0\n2018-06-02  0\ntotal       0\n"
        );
    }
}
