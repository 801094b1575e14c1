//! How the parts of a chart look: by classes in a page, by attributes in a file, which has no style sheet.

use maud::PreEscaped;

use super::Form;

/// The dash of each line, and the colours of those in a file.
pub(crate) const DASHES: [&str; 5] = ["", "7 3", "2 3", "10 3 2 3", "4 2"];
const COLOURS: [&str; 5] = ["#0b5cad", "#e4640c", "#3a9d8f", "#6d1f55", "#7d5a20"];
const FONT: &str = "font-family='system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif'";

/// A part of a chart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// A horizontal line at a number.
    Grid,
    /// The line at 0.
    Base,
    /// Text at an axis.
    Axis,
    /// Text of a heading or a legend.
    Text,
    /// A line, the nth.
    Line(usize),
    /// The last stretch of a line, where the unit is not over.
    Running(usize),
    /// A point that stands alone.
    Dot(usize),
    /// Below the first line.
    Area,
    /// The period before.
    Ghost,
}

/// The attributes of a part. They are made of constants alone.
pub(super) fn paint(part: Part, form: Form) -> PreEscaped<String> {
    let attributes = match form {
        Form::Page(_) => format!("class='{}'", class(part)),
        Form::File => attributes(part),
    };
    PreEscaped(format!(" {attributes}"))
}

fn class(part: Part) -> String {
    match part {
        Part::Grid => "grid".into(),
        Part::Base => "base".into(),
        Part::Axis => "axis".into(),
        Part::Text => "text".into(),
        Part::Line(nth) => format!("line l{nth}"),
        Part::Running(nth) => format!("line l{nth} running"),
        Part::Dot(nth) => format!("dot l{nth}"),
        Part::Area => "area".into(),
        Part::Ghost => "line ghost".into(),
    }
}

fn attributes(part: Part) -> String {
    let colour = |nth: usize| COLOURS.get(nth).copied().unwrap_or("#818b9b");
    let line = |colour: &str, width: &str, dash: &str| {
        let dash = if dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray='{dash}'")
        };
        format!("fill='none' stroke='{colour}' stroke-width='{width}' stroke-linejoin='round'{dash}")
    };
    match part {
        Part::Grid => line("#e3e7ed", "1", ""),
        Part::Base => line("#818b9b", "1", ""),
        Part::Axis => format!("fill='#586173' font-size='12' {FONT}"),
        Part::Text => format!("fill='#1a1f27' font-size='14' {FONT}"),
        Part::Line(nth) => line(colour(nth), "2", DASHES.get(nth).copied().unwrap_or("1 3")),
        Part::Running(nth) => line(colour(nth), "2", "2 4"),
        Part::Dot(nth) => format!("fill='{}'", colour(nth)),
        Part::Area => "fill='#0b5cad' fill-opacity='0.08'".into(),
        Part::Ghost => line("#818b9b", "1.5", "4 4"),
    }
}
