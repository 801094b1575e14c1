//! The reference page: one HTML document, no script, nothing loaded from anywhere.

use std::fmt::Write as _;

use serde_json::Value;

use super::command::command;

const STYLE: &str = include_str!("style.css");

/// The page for an OpenAPI document.
pub(super) fn render(document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let page = Page { document: &document };
    let title = escape(page.text("/info/title"));
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} API reference</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head>\
         <body><a class=\"skip\" href=\"#content\">Skip to the endpoints</a>"
    );
    page.navigation(&mut html);
    html.push_str("<main id=\"content\">");
    page.introduction(&mut html);
    for tag in page.list("/tags") {
        page.family(&mut html, tag);
    }
    html.push_str("</main></body></html>");
    html
}

struct Page<'a> {
    document: &'a Value,
}

/// One method of one path.
struct Operation<'a> {
    method: String,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    fn anchor(&self) -> String {
        format!("{}{}", self.method.to_lowercase(), self.path.replace('/', "-"))
    }

    fn summary(&self) -> &str {
        self.value
            .get("summary")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

impl<'a> Page<'a> {
    fn text(&self, pointer: &str) -> &'a str {
        self.document
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn list(&self, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.document
            .pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn operations(&self, tag: &str) -> Vec<Operation<'a>> {
        let paths = self.document.get("paths").and_then(Value::as_object);
        let all = paths.into_iter().flatten().flat_map(|(path, methods)| {
            methods
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(method, value)| Operation {
                    method: method.to_uppercase(),
                    path,
                    value,
                })
        });
        all.filter(|operation| {
            let tags = operation.value.get("tags").and_then(Value::as_array);
            tags.is_some_and(|tags| tags.iter().any(|name| name == tag))
        })
        .collect()
    }

    fn navigation(&self, html: &mut String) {
        html.push_str("<nav aria-label=\"Endpoints\"><p class=\"brand\">sessionmeter</p>");
        for tag in self.list("/tags") {
            let name = string(tag, "name");
            let _ = write!(html, "<p>{}</p><ul>", escape(name));
            for operation in self.operations(name) {
                let _ = write!(
                    html,
                    "<li><a href=\"#{}\"><span class=\"method\">{}</span> {}</a></li>",
                    escape(&operation.anchor()),
                    operation.method,
                    escape(operation.path)
                );
            }
            html.push_str("</ul>");
        }
        html.push_str("<p><a href=\"/openapi.json\">openapi.json</a></p></nav>");
    }

    fn introduction(&self, html: &mut String) {
        let _ = write!(
            html,
            "<h1>API reference</h1><p>{} Version {}.</p>\
             <p>Send your API key in the header <code>Authorization: Bearer smk_…</code>. Every error is JSON: \
             <code>{{\"message\": \"what is wrong, and what would be right\"}}</code>.</p>",
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
        for operation in self.operations(name) {
            self.operation(html, &operation);
        }
        html.push_str("</section>");
    }

    fn operation(&self, html: &mut String, operation: &Operation<'a>) {
        let _ = write!(
            html,
            "<article id=\"{}\"><h3><span class=\"method\">{}</span> <code>{}</code></h3><p><strong>{}</strong></p>",
            escape(&operation.anchor()),
            operation.method,
            escape(operation.path),
            prose(operation.summary())
        );
        if let Some(description) = operation.value.get("description").and_then(Value::as_str) {
            let _ = write!(html, "<p>{}</p>", prose(description));
        }
        if let Some(permission) = operation
            .value
            .pointer("/security/0/api_key/0")
            .and_then(Value::as_str)
        {
            let _ = write!(html, "<p>Permission: <code>{}</code></p>", escape(permission));
        }
        let _ = write!(
            html,
            "<pre tabindex=\"0\"><code>{}</code></pre>",
            escape(&command(operation.path, operation.value))
        );
        self.parameters(html, operation);
        if let Some(schema) = operation
            .value
            .pointer("/requestBody/content/application~1json/schema")
        {
            html.push_str("<h4>Body</h4>");
            self.schema(html, schema, 0);
        }
        self.responses(html, operation);
        html.push_str("</article>");
    }

    fn parameters(&self, html: &mut String, operation: &Operation<'_>) {
        let Some(parameters) = operation.value.get("parameters").and_then(Value::as_array) else {
            return;
        };
        html.push_str("<h4>Parameters</h4><dl>");
        for parameter in parameters {
            let schema = parameter.get("schema").unwrap_or(&Value::Null);
            let required = parameter
                .get("required")
                .and_then(Value::as_bool)
                .unwrap_or(false);
            entry(
                html,
                string(parameter, "name"),
                schema,
                required,
                string(parameter, "description"),
            );
        }
        html.push_str("</dl>");
    }

    /// An object's members; objects inside it up to a small depth.
    fn schema(&self, html: &mut String, schema: &Value, depth: u8) {
        let schema = self.resolve(schema);
        if let Some(items) = schema.get("items") {
            return self.schema(html, items, depth);
        }
        let Some(members) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        html.push_str("<dl>");
        for (name, member) in members {
            let resolved = self.resolve(member);
            let required = schema
                .get("required")
                .and_then(Value::as_array)
                .is_some_and(|list| list.iter().any(|item| item == name));
            entry(html, name, resolved, required, string(resolved, "description"));
            let nested = resolved.get("properties").is_some() || resolved.get("items").is_some();
            if nested && depth < 3 {
                html.push_str("<dd>");
                self.schema(html, resolved, depth + 1);
                html.push_str("</dd>");
            }
        }
        html.push_str("</dl>");
    }

    fn resolve<'b>(&'b self, schema: &'b Value) -> &'b Value {
        schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.document.pointer(reference.trim_start_matches('#')))
            .unwrap_or(schema)
    }

    fn responses(&self, html: &mut String, operation: &Operation<'_>) {
        let Some(responses) = operation.value.get("responses").and_then(Value::as_object) else {
            return;
        };
        html.push_str("<h4>Answers</h4><dl>");
        for (status, response) in responses {
            let _ = write!(
                html,
                "<dt><code>{}</code></dt><dd>{}",
                escape(status),
                prose(string(response, "description"))
            );
            if status.starts_with('2')
                && let Some(schema) = response.pointer("/content/application~1json/schema")
            {
                self.schema(html, schema, 0);
            }
            html.push_str("</dd>");
        }
        html.push_str("</dl>");
    }
}

fn entry(html: &mut String, name: &str, schema: &Value, required: bool, description: &str) {
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => String::new(),
    };
    let _ = write!(
        html,
        "<dt><code>{}</code> <span class=\"kind\">{}{}</span></dt><dd>{}</dd>",
        escape(name),
        escape(&kind),
        if required { ", required" } else { "" },
        prose(description)
    );
}

pub(super) fn string<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Doc text: escaped, with `code` marked.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        let _ = if index % 2 == 1 {
            write!(html, "<code>{part}</code>")
        } else {
            write!(html, "{part}")
        };
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
