//! What forms share: fields with their hints and with what was wrong about them, a summary of that, and commands to copy.

use std::borrow::Cow;

use axum::http::StatusCode;
use maud::{Markup, html};

use super::texts::Texts;

/// What is wrong about a field of a form.
#[derive(Debug)]
pub(super) struct Problem {
    /// The field's name, which is its element's id too.
    pub(super) field: Cow<'static, str>,
    message: String,
    /// The language of the message; `None` is the page's own.
    language: Option<&'static str>,
}

impl Problem {
    /// In the words of the API and of the command line, which speak English.
    pub(super) fn new(field: impl Into<Cow<'static, str>>, message: impl ToString) -> Self {
        Self {
            field: field.into(),
            message: message.to_string(),
            language: Some("en"),
        }
    }

    /// In the page's words.
    pub(super) fn told(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
            language: None,
        }
    }

    /// What is wrong, to be read in its language.
    pub(super) fn message(&self) -> Markup {
        html! { bdi lang=[self.language] { (self.message) } }
    }
}

/// What a field is called, and what is said about it.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'a str,
    pub(super) hint: &'a str,
    pub(super) problems: &'a [Problem],
}

impl Field<'_> {
    fn own_problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.field == self.name)
    }

    /// Whether something is wrong about it.
    pub(super) fn is_wrong(&self) -> bool {
        self.own_problems().next().is_some()
    }

    /// The ids of what is said about it; `None` where nothing is.
    pub(super) fn described_by(&self) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = self.is_wrong().then(|| format!("{}-error", self.name));
        let all: Vec<String> = hint.into_iter().chain(error).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// What it is for, before its value.
    pub(super) fn hint(&self) -> Markup {
        html! {
            @if !self.hint.is_empty() { p.hint id={(self.name) "-hint"} { (self.hint) } }
        }
    }

    /// What is wrong about it, after its value.
    pub(super) fn errors(&self) -> Markup {
        html! {
            @if self.is_wrong() {
                div.error id={(self.name) "-error"} {
                    @for problem in self.own_problems() { p { (problem.message()) } }
                }
            }
        }
    }

    /// A line of text, with what was typed.
    pub(super) fn text(&self, value: &str, suggested: &[&str]) -> Markup {
        let list = format!("{}-list", self.name);
        let has_list = !suggested.is_empty();
        html! {
            .field {
                label for=(self.name) { (self.label) }
                (self.hint())
                input type="text" id=(self.name) name=(self.name) value=(value) autocomplete="off" spellcheck="false"
                    list=[has_list.then_some(&list)] aria-invalid=[self.is_wrong().then_some("true")]
                    aria-describedby=[self.described_by()];
                @if has_list {
                    datalist id=(list) { @for suggestion in suggested { option value=(suggestion) {} } }
                }
                (self.errors())
            }
        }
    }

    /// A password, which is never shown again.
    pub(super) fn password(&self, kind: &str) -> Markup {
        html! {
            .field {
                label for=(self.name) { (self.label) }
                (self.hint())
                input type="password" id=(self.name) name=(self.name) required autocomplete=(kind)
                    aria-invalid=[self.is_wrong().then_some("true")] aria-describedby=[self.described_by()];
                (self.errors())
            }
        }
    }

    /// Several lines of text, with what was typed.
    pub(super) fn lines(&self, value: &str) -> Markup {
        html! {
            .field {
                label for=(self.name) { (self.label) }
                (self.hint())
                // A browser leaves out a line break at the beginning of a text area.
                textarea id=(self.name) name=(self.name) rows="3" spellcheck="false"
                    aria-invalid=[self.is_wrong().then_some("true")] aria-describedby=[self.described_by()] { "\n" (value) }
                (self.errors())
            }
        }
    }
}

/// All that is wrong, with ways to the fields; nothing where nothing is.
pub(super) fn summary(problems: &[Problem], texts: &Texts) -> Markup {
    html! {
        @if !problems.is_empty() {
            .notice.bad role="alert" {
                p { strong { (texts.apps.nothing_was_changed) } }
                ul { @for problem in problems { li { a href={"#" (problem.field)} { (problem.message()) } } } }
            }
        }
    }
}

/// A form that something is wrong about is a refusal.
pub(super) fn status(problems: &[Problem]) -> StatusCode {
    if problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

/// A command or another text to be copied.
pub(super) fn command(text: &str, texts: &Texts) -> Markup {
    html! {
        .command {
            pre tabindex="0" { code { (text) } }
            button data-copy=(text) hidden { (texts.copy) }
        }
    }
}
