//! Puts the parts of a chart into place.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::paint::{Part, paint};
use super::scale::{every, ticks};
use super::{Chart, Form, Frame, Line, Width};

const TOP: f64 = 14.0;
const BELOW: f64 = 44.0;
const RIGHT: f64 = 22.0;
/// Of a digit at the axis.
const DIGIT: f64 = 7.2;
/// Room for a label under the axis.
const LABEL: f64 = 58.0;
/// Every how many units labels stand.
const STEPS: [usize; 9] = [1, 2, 3, 7, 14, 28, 56, 91, 182];
const HOUR_STEPS: [usize; 7] = [1, 2, 3, 6, 12, 24, 48];

/// Where things stand in a drawing.
struct Place {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    units: usize,
    greatest: f64,
}

impl Place {
    fn x(&self, unit: usize) -> f64 {
        match self.units {
            0 | 1 => (self.left + self.right) / 2.0,
            units => self.left + (self.right - self.left) * unit as f64 / (units - 1) as f64,
        }
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * (value / self.greatest).clamp(0.0, 1.0)
    }

    /// Of the units from one to another, as a path takes it.
    fn path(&self, values: &[f64], from: usize, to: usize) -> String {
        let mut path = String::new();
        let values = values.iter().enumerate().take(to).skip(from);
        for (place, (unit, value)) in values.enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", self.x(unit), self.y(*value));
        }
        path
    }
}

/// Draws a chart for every width of a page, of which the style sheet shows one.
pub(crate) fn draw_in_page(frame: Frame<'_>) -> Markup {
    let widths = [
        (Width::Wide, "chart-w"),
        (Width::Middle, "chart-m"),
        (Width::Narrow, "chart-n"),
    ];
    html! { @for (width, id) in widths { (draw(frame, Form::Page(width), id)) } }
}

/// Draws a chart.
pub(crate) fn draw(frame: Frame<'_>, form: Form, id: &str) -> Markup {
    let Frame { chart, locale } = frame;
    let (width, height) = form.size();
    let all = chart.lines.iter().chain(&chart.ghost);
    let greatest = all.flat_map(|line| &line.values).copied().fold(0.0, f64::max);
    let whole = chart
        .lines
        .iter()
        .flat_map(|line| &line.values)
        .all(|value| value.fract() == 0.0);
    let ticks = ticks(
        greatest,
        if form == Form::Page(Width::Narrow) { 4 } else { 5 },
        whole,
    );
    let numbers: Vec<String> = ticks.iter().map(|tick| locale.short(*tick)).collect();
    let longest = numbers
        .iter()
        .map(|number| number.chars().count())
        .max()
        .unwrap_or(1);
    let heading = if form == Form::File { 34.0 } else { 0.0 };
    let legend = if form == Form::File { 34.0 } else { 0.0 };
    let place = Place {
        left: longest as f64 * DIGIT + 12.0,
        right: width - RIGHT,
        top: TOP + heading,
        bottom: height - BELOW - legend,
        units: chart.labels.len(),
        greatest: ticks.last().copied().unwrap_or(1.0),
    };
    let drawing = html! {
        (grid(&place, form, &ticks, &numbers))
        (labels(&place, form, chart))
        (lines(&place, form, chart))
        @if form == Form::File { (words(&place, chart, height)) }
    };
    let (wide, high) = (width as u32, height as u32);
    match form {
        Form::File => html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(wide) height=(high)
                viewBox={"0 0 " (wide) " " (high)} role="img" aria-labelledby="title description" {
                title id="title" { (chart.title) }
                desc id="description" { (chart.description) }
                rect width="100%" height="100%" fill="#ffffff" {}
                (drawing)
            }
        },
        Form::Page(_) => html! {
            svg.(form.class()) viewBox={"0 0 " (wide) " " (high)} role="img"
                aria-labelledby={(id) "-title"} aria-describedby={(id) "-description"}
                data-left=(format!("{:.1}", place.x(0))) data-right=(format!("{:.1}", place.x(place.units.saturating_sub(1))))
                data-ys=(heights(&place, chart)) {
                title id={(id) "-title"} { (chart.title) }
                desc id={(id) "-description"} { (chart.description) }
                (drawing)
                line.cursor x1="0" x2="0" y1=(place.top) y2=(place.bottom) {}
                circle.point cx="0" cy="0" r="4" {}
            }
        },
    }
}

/// Where the first line is at each unit, for the mark that follows the pointer.
fn heights(place: &Place, chart: &Chart) -> String {
    let values = chart
        .lines
        .first()
        .map(|line| line.values.as_slice())
        .unwrap_or_default();
    let heights: Vec<String> = values
        .iter()
        .map(|value| format!("{:.0}", place.y(*value)))
        .collect();
    heights.join(" ")
}

fn grid(place: &Place, form: Form, ticks: &[f64], numbers: &[String]) -> Markup {
    html! {
        @for (tick, number) in ticks.iter().zip(numbers) {
            @let y = format!("{:.1}", place.y(*tick));
            @let part = if *tick == 0.0 { Part::Base } else { Part::Grid };
            (element("path", part, form, &format!("d='M{:.1} {y}H{:.1}'", place.left, place.right)))
            (text(Part::Axis, form, (place.left - 8.0, place.y(*tick) + 4.0), "end", number))
        }
    }
}

fn labels(place: &Place, form: Form, chart: &Chart) -> Markup {
    let units = chart.labels.len();
    let longest = chart
        .labels
        .iter()
        .flatten()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0);
    let needed = LABEL.max(longest as f64 * 6.6 + 14.0);
    let is_hours = chart.labels.first().is_some_and(|[top, _]| top.contains(':'));
    let steps = if is_hours {
        HOUR_STEPS.as_slice()
    } else {
        STEPS.as_slice()
    };
    let step = every(units, place.right - place.left, needed, steps);
    let shown = chart.labels.iter().enumerate();
    let shown = shown.filter(|(unit, _)| (units - 1 - unit).is_multiple_of(step));
    html! {
        @for (unit, [top, below]) in shown {
            @let x = place.x(unit);
            // The last one would stand out of the picture, and the first one in the numbers.
            @let (anchor, at) = if units > 1 && unit + 1 == units { ("end", x + RIGHT - 2.0) }
                else if unit == 0 && units > 1 { ("start", x - 10.0) }
                else { ("middle", x) };
            (element("path", Part::Base, form, &format!("d='M{x:.1} {:.1}v4'", place.bottom)))
            (text(Part::Axis, form, (at, place.bottom + 18.0), anchor, top))
            (text(Part::Axis, form, (at, place.bottom + 33.0), anchor, below))
        }
    }
}

fn lines(place: &Place, form: Form, chart: &Chart) -> Markup {
    html! {
        @if let Some(first) = chart.lines.first() { (area(place, form, chart, first)) }
        @if let Some(ghost) = &chart.ghost {
            (element("path", Part::Ghost, form, &format!("d='{}'", place.path(&ghost.values, 0, usize::MAX))))
        }
        @for (nth, line) in chart.lines.iter().enumerate().rev() {
            (one_line(place, form, chart, nth, line))
        }
    }
}

fn area(place: &Place, form: Form, chart: &Chart, line: &Line) -> Markup {
    let shown = chart.finished.min(line.values.len());
    if shown < 2 {
        return html! {};
    }
    let path = place.path(&line.values, 0, shown);
    let (last, first) = (place.x(shown - 1), place.x(0));
    let bottom = place.bottom;
    let closed = format!("d='{path}L{last:.1} {bottom:.1}L{first:.1} {bottom:.1}Z'");
    element("path", Part::Area, form, &closed)
}

/// What is over as it is, then dotted the running unit; what lies in the future has no line.
fn one_line(place: &Place, form: Form, chart: &Chart, nth: usize, line: &Line) -> Markup {
    let finished = chart.finished.min(line.values.len());
    let runs = finished < line.values.len();
    let shown = finished + usize::from(runs);
    html! {
        @if finished > 1 {
            (element("path", Part::Line(nth), form, &format!("d='{}'", place.path(&line.values, 0, finished))))
        }
        @if runs && finished > 0 {
            @let path = place.path(&line.values, finished - 1, shown);
            (element("path", Part::Running(nth), form, &format!("d='{path}'")))
        }
        @if shown == 1 {
            @let value = line.values.first().copied().unwrap_or_default();
            (element("circle", Part::Dot(nth), form, &format!("cx='{:.1}' cy='{:.1}' r='4'", place.x(0), place.y(value))))
        }
    }
}

/// What a page says around the drawing, inside of a file.
fn words(place: &Place, chart: &Chart, height: f64) -> Markup {
    let lines = chart
        .lines
        .iter()
        .enumerate()
        .map(|(nth, line)| (Part::Line(nth), line));
    let entries = lines.chain(chart.ghost.iter().map(|line| (Part::Ghost, line)));
    let mut x = place.left;
    let placed: Vec<(f64, Part, &Line)> = entries
        .map(|(part, line)| {
            let at = x;
            x += 60.0 + line.name.chars().count() as f64 * 8.0;
            (at, part, line)
        })
        .collect();
    let y = height - 16.0;
    html! {
        (text(Part::Text, Form::File, (place.left, 26.0), "start", &chart.title))
        @for (at, part, line) in placed {
            (element("path", part, Form::File, &format!("d='M{at:.1} {:.1}h26'", y - 4.0)))
            (text(Part::Text, Form::File, (at + 34.0, y), "start", &line.name))
        }
    }
}

/// An element without text. `attributes` are made of numbers.
fn element(name: &str, part: Part, form: Form, attributes: &str) -> PreEscaped<String> {
    let look = paint(part, form);
    PreEscaped(format!("<{name}{} {attributes}/>", look.0))
}

fn text(part: Part, form: Form, (x, y): (f64, f64), anchor: &str, text: &str) -> Markup {
    let look = paint(part, form);
    let escaped = html! { (text) };
    PreEscaped(format!(
        "<text{} x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{}</text>",
        look.0, escaped.0
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::locale::{Language, Locale};

    fn chart(values: Vec<f64>, finished: usize) -> Chart {
        let labels = values.iter().enumerate();
        Chart {
            title: "Sessions <by> \"day\" & more".into(),
            description: "</desc><script>".into(),
            labels: labels
                .map(|(day, _)| [format!("{day} Nov"), "Wed".into()])
                .collect(),
            lines: vec![Line {
                name: "All </text>".into(),
                values,
            }],
            ghost: None,
            finished,
        }
    }

    fn drawn(chart: &Chart, form: Form) -> String {
        let locale = Locale::new(Language::English, "");
        draw(Frame { chart, locale }, form, "chart").into_string()
    }

    #[test]
    fn a_running_unit_is_dotted_and_the_future_is_not_drawn() {
        let svg = drawn(&chart(vec![3.0, 4.0, 2.0, 0.0], 2), Form::Page(Width::Wide));
        assert_eq!(svg.matches("class='line l0'").count(), 1, "{svg}");
        assert_eq!(svg.matches("class='line l0 running'").count(), 1, "{svg}");
        let running = svg
            .split("running' d='")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        assert_eq!(
            running.map(|path| path.matches(['M', 'L']).count()),
            Some(2),
            "{svg}"
        );
        let over = drawn(&chart(vec![3.0, 4.0], 2), Form::Page(Width::Wide));
        assert!(!over.contains("running"), "{over}");
    }

    #[test]
    fn a_file_needs_no_style_sheet_and_is_xml() {
        let file = drawn(&chart(vec![3.0, 4.0, 2.0], 2), Form::File);
        assert!(!file.contains("class="), "{file}");
        for needed in [
            "xmlns=",
            "stroke='#0b5cad'",
            "stroke-dasharray='2 4'",
            "font-size='12'",
        ] {
            assert!(file.contains(needed), "{needed}: {file}");
        }
        for hostile in ["<script", "description\"></desc>", "All </text>"] {
            assert!(!file.contains(hostile), "{hostile}: {file}");
        }
    }

    #[test]
    fn any_number_of_units_can_be_drawn() {
        for units in [0, 1, 2, 100] {
            for form in [Form::File, Form::Page(Width::Narrow), Form::Page(Width::Middle)] {
                for finished in [0, units] {
                    let svg = drawn(&chart(vec![0.0; units], finished), form);
                    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                }
            }
        }
    }
}
