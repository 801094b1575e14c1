//! One endpoint on the reference page: how it is called, what it answers, what its parameters and members mean.

use std::fmt::Write as _;

use serde_json::Value;

use super::address::ADDRESS;
use super::command::{command, string};
use super::example::{in_order, is_required, resolved, written};
use super::html::{escape, prose};

/// Objects in each other that are shown.
const MAX_DEPTH: u8 = 3;

/// One method of one path.
pub(super) struct Endpoint<'a> {
    document: &'a Value,
    method: String,
    path: &'a str,
    operation: &'a Value,
}

impl<'a> Endpoint<'a> {
    pub(super) fn new(document: &'a Value, path: &'a str, method: &str, operation: &'a Value) -> Self {
        Self {
            document,
            method: method.to_uppercase(),
            path,
            operation,
        }
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        let tags = self.operation.get("tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|name| name == tag))
    }

    fn anchor(&self) -> &'a str {
        string(self.operation, "operationId")
    }

    /// An item of the list of endpoints.
    pub(super) fn link(&self, html: &mut String) {
        let _ = write!(
            html,
            "<li><a href=\"#{}\"><span class=\"method\">{}</span> {}</a></li>",
            escape(self.anchor()),
            self.method,
            escape(self.path)
        );
    }

    /// Everything about it.
    pub(super) fn article(&self, html: &mut String) {
        let _ = write!(
            html,
            "<article id=\"{}\"><h3><span class=\"method\">{}</span> <code>{}</code></h3><p><strong>{}</strong></p>",
            escape(self.anchor()),
            self.method,
            escape(self.path),
            prose(string(self.operation, "summary"))
        );
        let description = string(self.operation, "description");
        if !description.is_empty() {
            let _ = write!(html, "<p>{}</p>", prose(description));
        }
        let permission = self.operation.pointer("/security/0/api_key/0");
        if let Some(permission) = permission.and_then(Value::as_str) {
            let _ = write!(html, "<p>Permission: <code>{}</code></p>", escape(permission));
        }
        self.command(html);
        self.success(html);
        self.parameters(html);
        self.body(html);
        self.responses(html);
        html.push_str("</article>");
    }

    fn command(&self, html: &mut String) {
        // The script puts the address that the browser knows in the place of the one that the server was asked under.
        let address = format!("<span class=\"address\">{ADDRESS}</span>");
        let command = command(self.document, self.path, self.operation);
        let _ = write!(
            html,
            "<div class=\"block\"><pre class=\"command\" tabindex=\"0\" role=\"region\" aria-label=\"Command for {0} {1}\" \
             data-of=\"{0} {1}\"><code>{2}</code></pre></div>",
            self.method,
            escape(self.path),
            escape(&command).replace(ADDRESS, &address)
        );
    }

    /// What it answers if all is well.
    fn success(&self, html: &mut String) {
        let mut responses = self.responses_in_order();
        let Some((status, response)) = responses.find(|(status, _)| status.starts_with('2')) else {
            return;
        };
        let Some(example) = self.example(response) else {
            return;
        };
        let _ = write!(
            html,
            "<h4>Answer: {}</h4><pre class=\"answer\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Answer of {} {}\"><code>{}</code></pre>",
            escape(status),
            self.method,
            escape(self.path),
            escape(&example)
        );
    }

    /// The example of an answer, as JSON.
    fn example(&self, response: &Value) -> Option<String> {
        let content = response.pointer("/content/application~1json")?;
        let schema = content.get("schema").unwrap_or(&Value::Null);
        Some(written(self.document, schema, content.get("example")?))
    }

    fn responses_in_order(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let responses = self.operation.get("responses").and_then(Value::as_object);
        responses.into_iter().flatten()
    }

    fn parameters(&self, html: &mut String) {
        let Some(parameters) = self.operation.get("parameters").and_then(Value::as_array) else {
            return;
        };
        let is_required = |parameter: &&Value| parameter.get("required") == Some(&Value::Bool(true));
        let (required, optional): (Vec<_>, Vec<_>) = parameters.iter().partition(is_required);
        html.push_str("<h4>Parameters</h4><dl>");
        for (parameters, is_required) in [(required, true), (optional, false)] {
            for parameter in parameters {
                let schema = parameter.get("schema").unwrap_or(&Value::Null);
                let schema = resolved(self.document, schema);
                let mut kind = kind(self.document, schema);
                if string(parameter, "in") == "header" {
                    kind.push_str(", a header");
                }
                if let Some(default) = schema.get("default") {
                    let default = default
                        .as_str()
                        .map_or_else(|| default.to_string(), str::to_owned);
                    kind.push_str(&format!(", {default} if left out"));
                }
                entry(
                    html,
                    string(parameter, "name"),
                    &kind,
                    is_required,
                    string(parameter, "description"),
                );
            }
        }
        html.push_str("</dl>");
    }

    fn body(&self, html: &mut String) {
        let content = self.operation.pointer("/requestBody/content");
        let Some(content) = content.and_then(Value::as_object) else {
            return;
        };
        let types: Vec<String> = content
            .keys()
            .map(|media_type| format!("<code>{}</code>", escape(media_type)))
            .collect();
        let _ = write!(html, "<h4>Body</h4><p>{}</p>", types.join(" or "));
        if let Some(schema) = content
            .get("application/json")
            .and_then(|json| json.get("schema"))
        {
            self.schema(html, schema, 0);
        }
    }

    /// An object's members; objects inside it up to a small depth.
    fn schema(&self, html: &mut String, schema: &Value, depth: u8) {
        let schema = resolved(self.document, schema);
        if let Some(items) = schema.get("items") {
            return self.schema(html, items, depth);
        }
        let Some(members) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        html.push_str("<dl>");
        for (name, member) in in_order(schema, members) {
            let inner = resolved(self.document, member);
            // What a member says about itself comes before what its type says.
            let own = string(member, "description");
            let description = if own.is_empty() {
                string(inner, "description")
            } else {
                own
            };
            let kind = kind(self.document, inner);
            entry(html, name, &kind, is_required(schema, name), description);
            let is_nested = inner.get("properties").is_some() || inner.get("items").is_some();
            if is_nested && depth < MAX_DEPTH {
                html.push_str("<dd>");
                self.schema(html, inner, depth + 1);
                html.push_str("</dd>");
            }
        }
        html.push_str("</dl>");
    }

    fn responses(&self, html: &mut String) {
        html.push_str("<h4>Statuses</h4><dl>");
        for (status, response) in self.responses_in_order() {
            let _ = write!(
                html,
                "<dt><code>{}</code></dt><dd>{}",
                escape(status),
                prose(string(response, "description"))
            );
            if status.starts_with('2') {
                if let Some(schema) = response.pointer("/content/application~1json/schema") {
                    self.schema(html, schema, 0);
                }
            } else if let Some(example) = self.example(response) {
                let _ = write!(html, "<br><code>{}</code>", escape(&example));
            }
            html.push_str("</dd>");
        }
        html.push_str("</dl>");
    }
}

fn entry(html: &mut String, name: &str, kind: &str, is_required: bool, description: &str) {
    let _ = write!(
        html,
        "<dt><code>{}</code> <span class=\"kind\">{}{}</span></dt><dd>{}</dd>",
        escape(name),
        escape(kind),
        if is_required { ", required" } else { "" },
        prose(description)
    );
}

/// The type in a few words: `string`, `string or number`, `array of objects`, and the values where there are few.
fn kind(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return values.join(" or ");
    }
    let alternatives = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    if let Some(alternatives) = alternatives.and_then(Value::as_array) {
        let mut kinds: Vec<String> = Vec::new();
        for alternative in alternatives {
            let kind = kind(document, alternative);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        return kinds.join(" or ");
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = kinds.join(" or ");
    match schema.get("items") {
        Some(items) => format!("{kind} of {}s", self::kind(document, items)),
        None => kind,
    }
}
