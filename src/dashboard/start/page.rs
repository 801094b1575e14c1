//! The page as HTML.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use maud::{Markup, html};

use super::{LIVE, PATH, Progress, app};
use crate::dashboard::apps::PATH as APPS;
use crate::dashboard::apps::key_forms::{read_command, record_command};
use crate::dashboard::forgery;
use crate::dashboard::forms::{Field, Problem, command, summary};
use crate::dashboard::overview::{Asked, Ready, at};
use crate::dashboard::shell::Here;
use crate::dashboard::texts::Texts;
use crate::dashboard::visit::Answered;
use crate::model::{App, AppId, KeySecret};

/// Seconds between two looks for the first session.
const EVERY: u32 = 2;

/// The key for requests by hand.
pub(super) enum Key<'a> {
    /// The name that it would get, and what is wrong about that.
    Wanted(&'a str, &'a [Problem]),
    /// Shown this once.
    Made(&'a KeySecret),
}

/// The page, under the address of the overview or under its own.
pub(super) fn page_with(
    ready: &Ready,
    asked: &Asked,
    here: Here,
    (status, progress): (StatusCode, &Progress),
    key: &Key<'_>,
) -> Answered {
    let texts = ready.asking.texts;
    let problems: &[Problem] = match key {
        Key::Wanted(_, problems) => problems,
        Key::Made(_) => &[],
    };
    let form_token = ready.token.form_token()?;
    let address = match here {
        Here::Overview => asked.link("/"),
        _ => asked.link(PATH),
    };
    let content = html! {
        .heading { h1 { (texts.start.title) } p.range { (texts.start.about) } }
        (summary(problems, texts))
        (progress_card(asked, progress, &address, texts))
        @match app(asked) {
            None => @if ready.visitor.may_change() { p { a.button href=(asked.link("/ui/apps/new")) { (texts.apps.new_app) } } },
            Some(app) => {
                (choice(ready, asked, app))
                (ways(ready, app))
                section.card #by-hand {
                    .card-head { h2 { (texts.start.by_hand) } }
                    (by_hand(ready, asked, (key, &form_token), app.id))
                }
            }
        }
    };
    Ok(framed(ready, asked, (here, &address), status, content))
}

fn framed(
    ready: &Ready,
    asked: &Asked,
    (here, address): (Here, &str),
    status: StatusCode,
    content: Markup,
) -> Response<Body> {
    let title = ready.asking.texts.start.title;
    at(ready, asked, (here, title), address, status, None, content)
}

/// What has come, and what was refused; a script keeps it up to date.
fn progress_card(asked: &Asked, progress: &Progress, address: &str, texts: &Texts) -> Markup {
    html! {
        section.card.progress data-live=(asked.link(LIVE)) data-every=(EVERY) {
            p { span.pulse aria-hidden="true" {} " " strong.now role="status" { (progress.text) } }
            p.ways {
                a.button data-done hidden[!progress.is_done] href=(asked.link("/")) { (texts.start.open_overview) }
                a href=(address) { (texts.start.look_again) }
            }
            div hidden[progress.refused.is_empty()] {
                h2 { (texts.start.refused_meanwhile) }
                ul.lines { @for line in &progress.refused { li { (line) } } }
            }
        }
    }
}

/// Which app it is about, where there are several.
fn choice(ready: &Ready, asked: &Asked, chosen: &App) -> Markup {
    let texts = ready.asking.texts;
    let workspace = &asked.workspace;
    html! {
        @if workspace.apps.len() > 1 {
            form.controls method="get" action=(PATH) {
                input type="hidden" name="workspace" value=(workspace.workspace.id);
                label { span { (texts.app) }
                    select name="app_id" {
                        @for app in &workspace.apps {
                            option value=(app.id) selected[app.id == chosen.id] { (app.name) }
                        }
                    }
                }
                button { (texts.show) }
            }
        }
    }
}

/// The two ways that need no key.
fn ways(ready: &Ready, app: &App) -> Markup {
    let texts = ready.asking.texts;
    let place = &ready.asking.place;
    let address = place.address();
    let script = format!(
        "<script src=\"{address}/session.js\" data-app=\"{}\"></script>",
        app.id
    );
    let variables = format!(
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT={address}/v1/logs\nOTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf\n\
         OTEL_EXPORTER_OTLP_LOGS_HEADERS=sessionmeter-app={}",
        app.id
    );
    let scheme = address.split("://").next().unwrap_or("http");
    let key = app.id.to_string().replace('-', "");
    let dsn = format!("{scheme}://{key}@{}/1", place.host());
    html! {
        @if is_of_this_machine(place.host()) { p.muted { (texts.start.only_from_here) } }
        section.card {
            .card-head { h2 { (texts.start.web_page) } }
            p.muted { (texts.start.web_page_hint) }
            (command(&script, texts))
        }
        section.card {
            .card-head { h2 { (texts.start.sdk) } }
            p.muted { (texts.start.opentelemetry_hint) }
            (command(&variables, texts))
            p.muted { (texts.start.sentry_hint) }
            (command(&dsn, texts))
        }
    }
}

/// The commands that need a key, and the form that makes one.
fn by_hand(ready: &Ready, asked: &Asked, (key, form_token): (&Key<'_>, &str), app: AppId) -> Markup {
    let texts = ready.asking.texts;
    let address = ready.asking.place.address();
    let counting = format!("sessions/data_series?length=7&app_id={app}");
    let commands = |key: &str| {
        html! {
            p { (texts.start.record_one) }
            (command(&record_command(address, key, app), texts))
            p { (texts.start.count_them) }
            (command(&read_command(address, key, &counting), texts))
        }
    };
    match key {
        Key::Made(secret) => html! {
            p { strong { (texts.apps.key_is_made) } " " (texts.apps.keep_it_now) }
            (command(secret.reveal(), texts))
            (commands(secret.reveal()))
            p { a href=(asked.but(|asked| asked.app = None).link(APPS)) { (texts.apps.title) } }
        },
        Key::Wanted(name, problems) => {
            let field = Field {
                name: "name",
                label: texts.start.key_name_hint,
                hint: "",
                problems,
            };
            html! {
                p.muted { (texts.start.by_hand_hint) }
                @if ready.visitor.may_change() { form.fields method="post" action={(asked.link(PATH)) "#by-hand"} {
                    (forgery::field(form_token))
                    (field.text(name, &[]))
                    .buttons { button.primary { (texts.apps.make_key) } }
                } }
                (commands("$KEY"))
            }
        }
    }
}

/// Whether other machines can't mean this one by that name.
fn is_of_this_machine(host: &str) -> bool {
    ["localhost", "127.", "[::1]"]
        .iter()
        .any(|name| host.starts_with(name))
}
