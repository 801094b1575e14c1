//! The forms that make a key, which is shown in the answer and never again, and that revoke one.

use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use ipnet::IpNet;
use maud::{Markup, html};

use super::PATH;
use crate::api::Query;
use crate::catalog::Change;
use crate::dashboard::forms::{Field, Problem, command};
use crate::dashboard::texts::Texts;
use crate::dashboard::visit::{Answered, Visit, sent, shown, typed};
use crate::dashboard::{Dashboard, respond};
use crate::model::{
    ApiKey, AppId, KeyId, KeySecret, Name, NewKey, Permission, PermissionError, Permissions, network,
};
use crate::store::StoreError;

pub(super) const NEW: &str = "/ui/keys/new";
pub(super) const REVOKE: &str = "/ui/keys/revoke";
const ALL: &str = "all";

/// What was typed about a key.
#[derive(Default)]
struct Typed {
    name: String,
    permissions: Vec<String>,
    addresses: String,
}

impl Typed {
    fn of(form: &Query<'_>) -> Self {
        Self {
            name: typed(form, "name"),
            permissions: form.all("permission").map(String::from).collect(),
            addresses: typed(form, "allow"),
        }
    }

    fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|chosen| chosen == permission)
    }

    /// The key that it describes and its secret, or all that is wrong.
    fn read(&self, texts: &Texts) -> Result<Result<(NewKey, KeySecret), Vec<Problem>>, StoreError> {
        let name = self.name.parse::<Name>();
        let permissions = self.read_permissions(texts);
        let (allow, wrong) = self.read_addresses();
        match (name, permissions) {
            (Ok(name), Ok(permissions)) if wrong.is_empty() => {
                let (new, secret) = new_key(name, permissions, allow)?;
                Ok(Ok((new, secret)))
            }
            (name, permissions) => {
                let name = name.err().map(|error| Problem::new("name", error));
                let permissions = permissions.err().map(|error| Problem::new("permission", error));
                Ok(Err(name.into_iter().chain(permissions).chain(wrong).collect()))
            }
        }
    }

    fn read_permissions(&self, texts: &Texts) -> Result<Permissions, String> {
        if self.permissions.is_empty() {
            return Err(texts.apps.choose_a_permission.to_owned());
        }
        let names = self.permissions.iter().map(String::as_str);
        Permissions::parse(names).map_err(|error: PermissionError| error.to_string())
    }

    fn read_addresses(&self) -> (Vec<IpNet>, Vec<Problem>) {
        let separates = |character: char| character == ',' || character.is_whitespace();
        let texts = self.addresses.split(separates).filter(|text| !text.is_empty());
        let (mut allow, mut wrong) = (Vec::new(), Vec::new());
        for read in texts.map(network) {
            match read {
                Ok(network) => allow.push(network),
                Err(message) => wrong.push(Problem::new("allow", message)),
            }
        }
        (allow, wrong)
    }
}

/// A key of this description, and its secret.
///
/// # Errors
/// When the operating system gives no random bytes.
pub(in crate::dashboard) fn new_key(
    name: Name,
    permissions: Permissions,
    allow: Vec<IpNet>,
) -> Result<(NewKey, KeySecret), StoreError> {
    let secret = KeySecret::generate()
        .map_err(|error| StoreError::Unavailable(format!("there are no random bytes: {error}")))?;
    let new = NewKey {
        id: KeyId::random(),
        name,
        hash: secret.hash(),
        permissions,
        allow,
    };
    Ok((new, secret))
}

/// `GET /ui/keys/new`
pub(super) async fn new_page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    shown(&dashboard, request, NEW, async |visit, _| {
        new_form(visit, &Typed::default(), &[])
    })
    .await
}

/// `POST /ui/keys/new`: the answer shows the key. Sent again, by loading it again, its name is taken.
pub(super) async fn make(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, NEW, async |visit, _, form| {
        let typed = Typed::of(form);
        let (new, secret) = match typed.read(visit.ready.asking.texts)? {
            Ok(made) => made,
            Err(problems) => return new_form(visit, &typed, &problems),
        };
        let change = Change::CreateKey(visit.ready.workspace.workspace.id, new.clone());
        match visit.dashboard.store().change(change).await {
            Ok(_) => Ok(made(visit, &new, &secret)),
            Err(StoreError::Conflict(message)) => new_form(visit, &typed, &[Problem::new("name", message)]),
            Err(error) => Err(error),
        }
    })
    .await
}

fn new_form(visit: &Visit<'_>, typed: &Typed, problems: &[Problem]) -> Answered {
    let texts = visit.ready.asking.texts;
    let address = visit.link(NEW);
    let field = |name, label, hint| Field {
        name,
        label,
        hint,
        problems,
    };
    let fields = html! {
        (field("name", texts.name, texts.apps.key_name_hint).text(&typed.name, &[]))
        (permissions(typed, field("permission", texts.apps.what_it_may_do, ""), texts))
        (field("allow", texts.apps.addresses, texts.apps.addresses_hint).lines(&typed.addresses))
        (visit.buttons((texts.apps.make_key, "primary"), PATH))
    };
    let title = texts.apps.new_key;
    visit.form_page((title, &address), html! { (title) }, problems, fields)
}

/// A box to tick for each permission, with what it allows.
fn permissions(typed: &Typed, field: Field<'_>, texts: &Texts) -> Markup {
    let one = |value: &str, says: &str| {
        html! {
            label.tick {
                input type="checkbox" name=(field.name) value=(value) checked[typed.has(value)];
                span { code { (value) } " " span.muted { (says) } }
            }
        }
    };
    html! {
        fieldset.field id=(field.name) tabindex="-1" aria-describedby=[field.described_by()] {
            legend { (field.label) }
            (one(ALL, texts.apps.all_permissions))
            @for permission in Permission::ALL {
                (one(permission.as_str(), (texts.apps.permission)(permission)))
            }
            (field.errors())
        }
    }
}

/// Shows a new key, this once. Nothing of the page is asked of the store: that could fail, and the key would be lost.
fn made(visit: &Visit<'_>, new: &NewKey, secret: &KeySecret) -> Response<Body> {
    let texts = visit.ready.asking.texts;
    let app = visit.ready.workspace.apps.first().map(|app| app.id);
    let address = visit.ready.asking.place.address();
    let content = html! {
        .heading { h1 { (texts.apps.new_key) ": " bdi { (new.name) } } }
        .notice role="status" {
            p { strong { (texts.apps.key_is_made) } " " (texts.apps.keep_it_now) }
            (command(secret.reveal(), texts))
            p { (texts.apps.try_it) }
            (command(&request(address, secret.reveal(), &new.permissions, app), texts))
        }
        p { a.button href=(visit.link(PATH)) { (texts.apps.back) } }
    };
    let title = (texts.apps.key_is_made, visit.link(NEW));
    visit.page(StatusCode::OK, (title.0, &title.1), content)
}

/// A request that a key may make.
fn request(address: &str, key: &str, permissions: &Permissions, app: Option<AppId>) -> String {
    if permissions.allow(Permission::SessionsDataSeries) {
        return read_command(address, key, "sessions/data_series?length=7");
    }
    match app.filter(|_| permissions.allow(Permission::SessionsTrack)) {
        Some(app) => record_command(address, key, app),
        None => read_command(address, key, "workspace"),
    }
}

/// The command that asks for something.
pub(in crate::dashboard) fn read_command(address: &str, key: &str, what: &str) -> String {
    format!("curl -H \"Authorization: Bearer {key}\" \\\n  '{address}/{what}'")
}

/// The command that records a session of an app.
pub(in crate::dashboard) fn record_command(address: &str, key: &str, app: AppId) -> String {
    format!(
        "curl {address}/sessions/track \\\n  -H \"Authorization: Bearer {key}\" \\\n  -H 'Content-Type: application/json' \\\n  \
         -d '{{\"sessions\":[{{\"app_id\":\"{app}\",\"session_id\":\"first\",\"started_at\":\"'$(date -u +%FT%TZ)'\"}}]}}'"
    )
}

/// `GET /ui/keys/revoke`: asks.
pub(super) async fn revoke_page(
    State(dashboard): State<Dashboard>,
    request: Request<Body>,
) -> Response<Body> {
    shown(&dashboard, request, REVOKE, async |visit, query| {
        let Some(key) = named(visit, query) else {
            return Ok(no_such_key(visit));
        };
        let texts = visit.ready.asking.texts;
        let address = revoke_link(visit, key.id);
        let form = visit.form(&address, visit.buttons((texts.revoke, "danger"), PATH))?;
        let content = html! {
            .heading { h1 { (texts.apps.revoke_key) ": " bdi { (key.name) } } }
            section.card.confirm {
                p { (texts.apps.revoking_is_final) }
                p.muted { (texts.apps.permissions) ": " (key.permissions.names().join(", ")) }
                (form)
            }
        };
        Ok(visit.page(StatusCode::OK, (texts.apps.revoke_key, &address), content))
    })
    .await
}

/// `POST /ui/keys/revoke`
pub(super) async fn revoke(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response<Body> {
    sent(&dashboard, request, REVOKE, async |visit, query, _| {
        let Some(key) = named(visit, query) else {
            return Ok(no_such_key(visit));
        };
        match visit.dashboard.store().change(Change::RevokeKey(key.id)).await {
            Ok(_) => Ok(respond::see(&visit.link(PATH))),
            Err(StoreError::NotFound(_)) => Ok(no_such_key(visit)),
            Err(error) => Err(error),
        }
    })
    .await
}

/// Where a key is revoked.
pub(super) fn revoke_link(visit: &Visit<'_>, key: KeyId) -> String {
    visit.link_about(REVOKE, "key_id", key)
}

/// The key of the workspace that an address names.
fn named<'a>(visit: &'a Visit<'_>, query: &Query<'_>) -> Option<&'a ApiKey> {
    let id: KeyId = query.all("key_id").next()?.parse().ok()?;
    visit.ready.workspace.keys.iter().find(|key| key.id == id)
}

fn no_such_key(visit: &Visit<'_>) -> Response<Body> {
    visit.unknown(visit.ready.asking.texts.apps.no_such_key)
}
