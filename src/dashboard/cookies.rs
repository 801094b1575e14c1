//! Cookies: which there are, and how they are read and set.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::locale::Language;
use super::place::Place;
use super::token::Token;

/// Of a browser that is signed in; thirty days.
const SIGNED_IN: u64 = 30 * 24 * 3600;
/// Of a browser that is about to be; ten minutes.
const BEFORE: u64 = 600;
const LANGUAGE: &str = "sessionmeter-language";
const YEAR: u64 = 365 * 24 * 3600;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Its browser is signed in.
    SignedIn,
    /// Its browser was shown the form that signs in.
    Before,
}

impl Purpose {
    /// Ports of one host share their cookies, so the name has the port. `__Host-` keeps other names of the same domain from
    /// setting it; browsers take that over https only.
    fn name(self, place: &Place) -> String {
        let suffix = match self {
            Self::SignedIn => "",
            Self::Before => "-before",
        };
        if place.is_https() {
            format!("__Host-sessionmeter{suffix}")
        } else {
            format!("sessionmeter-{}{suffix}", place.port())
        }
    }

    fn seconds(self) -> u64 {
        match self {
            Self::SignedIn => SIGNED_IN,
            Self::Before => BEFORE,
        }
    }
}

/// The token that a browser sent.
pub(super) fn token(headers: &HeaderMap, place: &Place, purpose: Purpose) -> Option<Token> {
    Token::parse(value(headers, &purpose.name(place))?)
}

/// Gives a browser a token.
pub(super) fn set(place: &Place, purpose: Purpose, token: &Token) -> Option<HeaderValue> {
    cookie(
        place,
        &purpose.name(place),
        token.reveal(),
        purpose.seconds(),
        true,
    )
}

/// Takes it away.
pub(super) fn clear(place: &Place, purpose: Purpose) -> Option<HeaderValue> {
    cookie(place, &purpose.name(place), "", 0, true)
}

/// The language that somebody chose.
pub(super) fn language(headers: &HeaderMap) -> Option<Language> {
    value(headers, LANGUAGE).and_then(Language::of_tag)
}

/// Remembers it.
pub(super) fn set_language(place: &Place, language: Language) -> Option<HeaderValue> {
    cookie(place, LANGUAGE, language.code(), YEAR, false)
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

fn cookie(place: &Place, name: &str, value: &str, seconds: u64, strict: bool) -> Option<HeaderValue> {
    let site = if strict { "Strict" } else { "Lax" };
    let secure = if place.is_https() { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={site}{secure}");
    HeaderValue::from_str(&text).ok()
}
