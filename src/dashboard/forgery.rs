//! That a form was made here, for this browser, and was sent by a page of ours.

use axum::http::{HeaderMap, Method};
use maud::{Markup, html};

use super::token::Token;

/// The field of forms.
pub(super) const FIELD: &str = "form";
const SITE: &str = "sec-fetch-site";

/// The hidden field of every form that changes something.
pub(super) fn field(form_token: &str) -> Markup {
    html! { input type="hidden" name=(FIELD) value=(form_token); }
}

/// Whether a browser says that another site sent this. Who says nothing is judged by the form's token alone: browsers
/// leave the header out over plain http.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get(SITE).map(|value| value.as_bytes());
    matches!(site, Some(b"cross-site" | b"same-site"))
}

/// Whether a link on another site led here. A strict cookie does not travel with it.
pub(super) fn came_from_another_site(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::GET
        && headers
            .get(SITE)
            .is_some_and(|value| value.as_bytes() == b"cross-site")
}

/// Whether a request that changes something is what a page of ours sent for whoever has this token.
pub(super) fn is_genuine(headers: &HeaderMap, token: &Token, form_token: Option<&str>) -> bool {
    !is_from_elsewhere(headers) && form_token.is_some_and(|form| token.made(form))
}
