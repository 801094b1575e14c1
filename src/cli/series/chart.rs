//! A table with a bar for each row, in the width there is, without colour.

use std::fmt;

use crate::cli::output::thousands;

/// One to seven eighths of a block.
const EIGHTHS: [&str; 7] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BLOCK: &str = "█";
const TOTAL: &str = "total";
const GAP: &str = "  ";

/// A unit and its count.
pub(super) struct Row {
    /// A day or an hour.
    pub(super) label: String,
    /// How many started in it.
    pub(super) sessions: u64,
}

/// What is drawn; its `Display` is the drawing.
pub(super) struct Chart {
    /// Oldest first.
    pub(super) rows: Vec<Row>,
    /// Columns that a line may have. Labels and counts are never cut: where there is no room, there are no bars.
    pub(super) width: usize,
    /// Bars of block characters, in eighths; of `#` otherwise.
    pub(super) blocks: bool,
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = thousands(self.rows.iter().map(|row| row.sessions).sum());
        let labels = self
            .rows
            .iter()
            .map(|row| row.label.len())
            .chain([TOTAL.len()])
            .max()
            .unwrap_or(0);
        let counts = total.len();
        let room = self.width.saturating_sub(labels + counts + 2 * GAP.len());
        let most = self.rows.iter().map(|row| row.sessions).max().unwrap_or(0);
        for Row { label, sessions } in &self.rows {
            let bar = bar(*sessions, most, room, self.blocks);
            let line = format!("{label:labels$}{GAP}{:>counts$}{GAP}{bar}", thousands(*sessions));
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "{TOTAL:labels$}{GAP}{total:>counts$}")
    }
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

    fn chart(counts: &[u64], width: usize, blocks: bool) -> String {
        let rows = counts
            .iter()
            .enumerate()
            .map(|(day, sessions)| Row {
                label: format!("2018-06-{:02}", day + 1),
                sessions: *sessions,
            })
            .collect();
        Chart { rows, width, blocks }.to_string()
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
