//! The reference page: one HTML document with its style and a small script in it, nothing loaded from anywhere.
//!
//! The list of endpoints stands behind them in the document, as on a phone, and beside them where there is room.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::command::string;
use super::endpoint::Endpoint;
use super::html::{escape, prose};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What the page may do: its own style and script, by their hashes, and nothing else.
pub(super) fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// The page for a complete OpenAPI document.
pub(super) fn render(document: &Value) -> String {
    let page = Page { document };
    let title = escape(page.text("/info/title"));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} API reference</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head>\
         <body><header><p class=\"brand\">{title}</p><a href=\"#endpoints\">List of endpoints</a></header>\
         <main>"
    );
    page.introduction(&mut html);
    for tag in page.tags() {
        page.family(&mut html, tag);
    }
    html.push_str("</main>");
    page.navigation(&mut html);
    let _ = write!(
        html,
        "<p id=\"said\" class=\"unseen\" role=\"status\"></p><script>{SCRIPT}</script></body></html>"
    );
    html
}

struct Page<'a> {
    document: &'a Value,
}

impl<'a> Page<'a> {
    fn text(&self, pointer: &str) -> &'a str {
        let text = self.document.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    fn tags(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let tags = self.document.get("tags").and_then(Value::as_array);
        tags.into_iter().flatten()
    }

    /// The endpoints of a family.
    fn endpoints(&self, tag: &str) -> Vec<Endpoint<'a>> {
        let paths = self.document.get("paths").and_then(Value::as_object);
        let all = paths.into_iter().flatten().flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| Endpoint::new(self.document, path, method, operation))
        });
        all.filter(|endpoint| endpoint.has_tag(tag)).collect()
    }

    fn navigation(&self, html: &mut String) {
        html.push_str("<nav id=\"endpoints\" aria-label=\"Endpoints\">");
        for tag in self.tags() {
            let name = string(tag, "name");
            let _ = write!(html, "<p>{}</p><ul>", escape(name));
            for endpoint in self.endpoints(name) {
                endpoint.link(html);
            }
            html.push_str("</ul>");
        }
        html.push_str("<p>For programs</p><ul><li><a href=\"openapi.json\">openapi.json</a></li></ul></nav>");
    }

    fn introduction(&self, html: &mut String) {
        let _ = write!(
            html,
            "<h1>API reference</h1><p>{} Version {}.</p>\
             <p>Send your API key in the header <code>Authorization: Bearer smk_…</code>. The commands on this page take it \
             from a variable of the shell: <code>KEY=smk_…</code>. <code>sessionmeter key create</code> makes a key.</p>\
             <p>Every error is JSON: <code>{{\"message\":\"what is wrong, and what would be right\"}}</code>. \
             Every answer has the header <code>x-request-id</code>, which the server's log has too.</p>",
            escape(self.text("/info/description")),
            escape(self.text("/info/version"))
        );
    }

    fn family(&self, html: &mut String, tag: &Value) {
        let name = string(tag, "name");
        let _ = write!(
            html,
            "<section><h2>{}</h2><p>{}</p>",
            escape(name),
            prose(string(tag, "description"))
        );
        for endpoint in self.endpoints(name) {
            endpoint.article(html);
        }
        html.push_str("</section>");
    }
}
