//! Calendars, pure: which units a request asks for, where they begin and end, and how they are labelled.
//!
//! [`Window`] is where everything meets: a zone, a unit, a length and an end become edges (Unix seconds) for a
//! store to count between, and labels for the answer. Look at `quantised` next: it is why edges always fall on
//! quarter hours.

mod civil;
mod earlier;
pub mod ending_at;
pub mod iso8601;
#[cfg(test)]
mod naive;
mod quantised;
mod range;
mod unit;
mod window;
mod zone;

pub use civil::Date;
pub use earlier::{Cut, Units};
pub use ending_at::{EndingAt, EndingAtError};
pub use range::{MOST_DAYS, Range, RangeError, Step, StepError};
pub use unit::{Length, Unit, UnitError};
pub use window::{Label, Window};
pub use zone::Zone;
