//! Rows as aligned text.

use unicode_width::UnicodeWidthStr as _;

use super::output::visible_line;
use super::terminal;

const GAP: &str = "  ";
/// A value has at least this much room, however narrow the terminal is.
const LEAST_ROOM: usize = 20;

/// Columns two spaces apart, no space at the ends of lines. Where they don't fit into the width that there is, each row
/// becomes a paragraph with a line for each of its cells.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    in_width(head, rows, terminal::known_width())
}

fn in_width<const N: usize>(head: [&str; N], rows: &[[String; N]], width: Option<usize>) -> String {
    let head = head.map(str::to_owned);
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|column| cell(row, column)))
        .collect();
    let mut widths = head.each_ref().map(|name| name.width());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let needed = widths.iter().sum::<usize>() + GAP.len() * N.saturating_sub(1);
    match width {
        Some(width) if needed > width => paragraphs(&head, &rows, width),
        _ => std::iter::once(&head)
            .chain(&rows)
            .map(|cells| line(cells, &widths))
            .collect(),
    }
}

fn cell<const N: usize>(row: &[String; N], column: usize) -> String {
    row.get(column)
        .map_or_else(String::new, |cell| visible_line(cell).into_owned())
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(&padded(cell, *width));
        line.push_str(GAP);
    }
    format!("{}\n", line.trim_end())
}

/// Filled up with spaces by what it is wide on a terminal.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn paragraphs<const N: usize>(head: &[String; N], rows: &[[String; N]], width: usize) -> String {
    let labels = head.iter().map(|name| name.width()).max().unwrap_or(0);
    let room = width.saturating_sub(labels + GAP.len()).max(LEAST_ROOM);
    let paragraph = |row: &[String; N]| {
        let cells = head.iter().zip(row).flat_map(|(name, cell)| {
            wrapped(cell, room)
                .into_iter()
                .enumerate()
                .map(move |(index, part)| {
                    let label = if index == 0 { name.as_str() } else { "" };
                    format!("{}\n", format!("{}{GAP}{part}", padded(label, labels)).trim_end())
                })
        });
        cells.collect::<String>()
    };
    rows.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// Parts of a text that are at most so wide, cut behind a comma or a space where there is one.
fn wrapped(text: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.width() > room {
        let mut wide = 0;
        let fitting = rest
            .char_indices()
            .find(|(_, character)| {
                wide += unicode_width::UnicodeWidthChar::width(*character).unwrap_or(0);
                wide > room
            })
            .map_or(rest.len(), |(index, _)| index);
        let (head, _) = rest.split_at_checked(fitting).unwrap_or((rest, ""));
        let cut = head.rfind([',', ' ']).map_or(fitting, |index| index + 1);
        let Some((part, later)) = rest.split_at_checked(cut).filter(|(part, _)| !part.is_empty()) else {
            break;
        };
        parts.push(part);
        rest = later;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const N: usize>(cells: [&str; N]) -> [String; N] {
        cells.map(str::to_owned)
    }

    #[test]
    fn tables_align_by_what_characters_are_wide_and_leave_no_trailing_space() {
        let rows = [row(["é", "x"]), row(["long", ""]), row(["東京", "y"])];
        assert_eq!(
            in_width(["A", "B"], &rows, None),
            "A     B\né     x\nlong\n東京  y\n"
        );
    }

    #[test]
    fn what_does_not_fit_becomes_paragraphs() {
        let rows = [
            row(["1", "sessions.data_series,sessions.track"]),
            row(["2", "東京東京東京東京東京東京"]),
        ];
        let text = in_width(["ID", "PERMISSIONS"], &rows, Some(34));
        let expected = [
            "ID           1",
            "PERMISSIONS  sessions.data_series,",
            "             sessions.track",
            "",
            "ID           2",
            "PERMISSIONS  東京東京東京東京東京",
            "             東京",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
        assert!(text.lines().all(|line| line.width() <= 34));
        assert_eq!(
            in_width(["ID", "PERMISSIONS"], &rows, Some(39)).lines().count(),
            3
        );
    }

    #[test]
    fn what_a_cell_holds_stays_in_its_line() {
        assert_eq!(in_width(["A"], &[row(["x\ny\u{1b}"])], None), "A\nx\\ny\\u{1b}\n");
    }
}
