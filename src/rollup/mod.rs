//! A day of an app, counted: its form, its building, and what is asked of it. Pure: no I/O, the same for every store.
//!
//! [`Builder`] makes of a day's sessions its [`Cells`] (sessions by combination of properties and quarter hour) and its
//! [`People`] (which persons had one, when, and with which combination). [`Totals`] are the sessions by quarter hour alone.
//! What is held of many days to answer from is a [`Days`]; which combinations fulfil a filter is a [`Bitmap`].
//!
//! Nothing here knows whether what it holds is up to date: a store keeps the version of the day beside it.

mod bitmap;
mod build;
mod by_person;
mod cells;
mod codec;
mod days;
pub mod folds;
mod people;
mod totals;

#[cfg(test)]
mod tests;

pub use bitmap::Bitmap;
pub use build::{Builder, Rollup};
pub use by_person::{ByPerson, PersonSet};
pub use cells::Cells;
pub use codec::FormError;
pub use days::{Days, days_of};
pub use people::{People, Visit};
pub use totals::{Label, Totals};

/// Seconds of a quarter hour.
pub const QUARTER: i64 = 900;
/// Seconds of a UTC day.
pub const DAY: i64 = 86_400;
/// Quarter hours of a UTC day.
pub const QUARTERS: usize = 96;
/// Sessions by quarter hour of a day.
pub type Quarters = [u32; QUARTERS];

/// A quarter hour of the day, 0 to 95, of milliseconds since the day began.
pub fn quarter_of(millis: u32) -> u8 {
    u8::try_from(millis / 900_000).map_or(95, |quarter| quarter.min(95))
}
