//! Share links: a view that is shown to whoever has its address, for a while.
//!
//! `kept` is what is kept of one, `manage` the page on which they are made and revoked, and `shown` what a link shows.

mod kept;
mod manage;
mod shown;

pub use self::kept::{Share, list, revoke};
pub(super) use self::manage::{change, page_of as managing_page_of};
pub(super) use self::shown::page_of as shown_page_of;
