//! The frame of every page: its head, the way to other pages, and the way out.

use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::locale::{Language, Locale};
use super::texts::Texts;
use super::{dates, forgery};

/// What a page says around its content.
pub(super) struct Shell<'a> {
    pub(super) locale: Locale,
    /// Of the browser's tab, before the product's name.
    pub(super) title: &'a str,
    /// Where whoever is signed in may go; `None` for pages that anybody sees.
    pub(super) inside: Option<Inside<'a>>,
    /// After how many seconds the page is loaded again, and from where.
    pub(super) refresh: Option<(u32, String)>,
}

/// Pages that are in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Here {
    Overview,
    Segments,
    Apps,
    Shares,
    /// That of whoever is in, which is found at its name.
    Account,
    Store,
}

/// What only who is signed in sees.
pub(super) struct Inside<'a> {
    /// Names of workspaces, their pages, and whether each is shown.
    pub(super) workspaces: Vec<(&'a str, String, bool)>,
    /// The address of the page in the other language.
    pub(super) translated: String,
    /// The overview that belongs to what is shown.
    pub(super) overview: String,
    /// Segments of the workspace.
    pub(super) segments: String,
    /// Apps and keys of the workspace.
    pub(super) apps: String,
    /// Share links of what is shown.
    pub(super) shares: String,
    /// The store, and what the workspace keeps in it; none for whom that is no business.
    pub(super) store: Option<String>,
    /// Which page this is.
    pub(super) here: Here,
    /// The name of whoever is in, if it has one.
    pub(super) name: Option<&'a str>,
    /// Its own page.
    pub(super) account: String,
    /// Against forgery.
    pub(super) form_token: &'a str,
}

impl Shell<'_> {
    /// A whole page.
    pub(super) fn page(&self, content: Markup) -> Markup {
        let texts = Texts::of(self.locale.language);
        html! {
            (DOCTYPE)
            html lang=(self.locale.language.code()) data-copied=(texts.copied) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if let Some((seconds, address)) = &self.refresh {
                        meta http-equiv="refresh" content={(seconds) ";url=" (address)};
                    }
                    title { (self.title) " · sessionmeter" }
                    link rel="icon" href=(ICON.path) type="image/svg+xml";
                    link rel="stylesheet" href=(STYLE.path);
                    @if self.inside.is_some() { script type="module" src=(SCRIPT.path) {} }
                }
                body {
                    @match &self.inside {
                        Some(inside) => { (self.top(inside, texts)) main #content { (content) } }
                        None => main #content { (content) },
                    }
                }
            }
        }
    }

    fn top(&self, inside: &Inside<'_>, texts: &Texts) -> Markup {
        let other = other(self.locale.language);
        html! {
            a.skip href="#content" { (texts.skip) }
            header.top { div {
                a.brand href="/" { "sessionmeter" }
                @if inside.workspaces.len() > 1 { (workspaces(inside, texts)) }
                nav aria-label=(texts.pages) {
                    @for (here, address, name) in [
                        (Here::Overview, Some(&inside.overview), texts.overview),
                        (Here::Segments, Some(&inside.segments), texts.segments.title),
                        (Here::Apps, Some(&inside.apps), texts.apps.title),
                        (Here::Store, inside.store.as_ref(), texts.store.title),
                        (Here::Shares, Some(&inside.shares), texts.share_links),
                    ] { @if let Some(address) = address {
                        a href=(address) aria-current=[(here == inside.here).then_some("page")] { (name) }
                    } }
                    a href="/reference" { (texts.reference) }
                }
                .end {
                    a href=(inside.translated) lang=(other.code()) hreflang=(other.code()) { (dates::own_name(other)) }
                    a href=(inside.account) aria-current=[(inside.here == Here::Account).then_some("page")] {
                        @match inside.name {
                            Some(name) => { span.unseen { (texts.accounts.title) ": " } bdi { (name) } },
                            None => (texts.accounts.title),
                        }
                    }
                    (sign_out(inside.form_token, texts))
                }
            } }
        }
    }
}

/// The way out.
pub(super) fn sign_out(form_token: &str, texts: &Texts) -> Markup {
    html! {
        form method="post" action="/ui/sign-out" {
            (forgery::field(form_token))
            button { (texts.sign_out) }
        }
    }
}

/// The language that a page can be read in besides.
pub(super) fn other(language: Language) -> Language {
    match language {
        Language::English => Language::Spanish,
        Language::Spanish => Language::English,
    }
}

fn workspaces(inside: &Inside<'_>, texts: &Texts) -> Markup {
    let shown = inside.workspaces.iter().find(|(.., shown)| *shown);
    html! {
        details.menu {
            summary {
                span.unseen { (texts.workspace) ": " }
                bdi { (shown.map(|(name, ..)| *name).unwrap_or_default()) }
            }
            ul {
                @for (name, address, shown) in &inside.workspaces {
                    li { a href=(address) aria-current=[shown.then_some("true")] { bdi { (name) } } }
                }
            }
        }
    }
}
