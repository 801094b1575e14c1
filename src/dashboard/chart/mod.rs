//! The chart, drawn as SVG: in the page with classes of the style sheet, as a file with attributes of its own.
//!
//! Its x is the number of the unit and never time, so that a day of 23 hours is a point like any other. [`scale`] chooses
//! what stands at the axes, [`paint`] how things look, [`draw`] puts them into place.

mod draw;
mod paint;
mod scale;

pub(super) use self::draw::{draw, draw_in_page};
pub(super) use self::paint::DASHES;

use super::locale::Locale;

/// How many lines have a look of their own.
pub(super) const MAX_LINES: usize = DASHES.len();

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What it shows, in a few words.
    pub(super) title: String,
    /// Its most important numbers in a sentence.
    pub(super) description: String,
    /// The first one is the main one.
    pub(super) lines: Vec<Line>,
    /// What the first one is compared with.
    pub(super) ghost: Option<Line>,
    /// Two lines of text for each unit.
    pub(super) labels: Vec<[String; 2]>,
    /// Units that are over; the one after them is running.
    pub(super) finished: usize,
}

/// A line: a number for each unit.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// For the legend.
    pub(super) name: String,
    /// Not negative.
    pub(super) values: Vec<f64>,
}

/// For which place it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Inside a page that is this wide.
    Page(Width),
    /// A file, which must look right by itself.
    File,
}

/// A style sheet shows one of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// A screen.
    Wide,
    /// A tablet.
    Middle,
    /// A phone.
    Narrow,
}

impl Form {
    /// The size of the drawing: width and height.
    fn size(self) -> (f64, f64) {
        match self {
            Self::Page(Width::Wide) => (1112.0, 310.0),
            Self::Page(Width::Middle) => (680.0, 270.0),
            Self::Page(Width::Narrow) => (324.0, 240.0),
            Self::File => (1112.0, 380.0),
        }
    }

    /// The class of the drawing in a page.
    fn class(self) -> &'static str {
        match self {
            Self::Page(Width::Wide) => "wide",
            Self::Page(Width::Middle) => "middle",
            Self::Page(Width::Narrow) => "narrow",
            Self::File => "file",
        }
    }
}

/// What drawings of one chart share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    /// What is drawn.
    pub(super) chart: &'a Chart,
    /// How numbers are written.
    pub(super) locale: Locale,
}
