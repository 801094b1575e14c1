//! Pages of a workspace beside the overview: how they are shown to somebody who is in, and how their forms are received.

use std::borrow::Cow;
use std::fmt::Display;

use axum::body::Body;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use maud::{Markup, html};

use super::forms::{Problem, status, summary};
use super::guest::read_large_form;
use super::overview::{Asked, Ready, asked_of, at, not_understood, ready};
use super::shell::Here;
use super::{Dashboard, accounts, apps, dates, forgery, respond, segments, store};
use crate::api::Query;
use crate::model::Millis;
use crate::store::{Scope, StoreError, Whose};

/// Somebody who is in and looks at a page of a workspace, as it is in the newest catalog.
pub(super) struct Visit<'a> {
    pub(super) dashboard: &'a Dashboard,
    pub(super) ready: Ready,
    /// What the address names: the workspace, and an app if the page is about one.
    pub(super) asked: Asked,
    /// Of which pages it is one.
    here: Here,
}

/// What becomes of a visit. An error of the store is a page as well.
pub(super) type Answered = Result<Response<Body>, StoreError>;

impl<'a> Visit<'a> {
    async fn begin(dashboard: &'a Dashboard, parts: &Parts, path: &str) -> Result<Self, Response<Body>> {
        let mut ready = ready(dashboard, parts, path).await?;
        let looked = dashboard.store().refresh().await;
        looked.map_err(|error| ready.asking.store_failed(&error))?;
        ready.catalog = dashboard.store().catalog();
        if let Some(newest) = ready.catalog.workspace(ready.workspace.workspace.id) {
            ready.workspace = newest.clone();
        }
        let asked = asked_of(dashboard, &ready, parts).await;
        let usual = Asked::usual(&ready.workspace, &ready.catalog);
        let here = if path.starts_with(segments::PATH) {
            Here::Segments
        } else if path == accounts::OWN {
            Here::Account
        } else if path == store::PATH {
            Here::Store
        } else {
            Here::Apps
        };
        let names_an_app = Query::new(parts.uri.query()).all("app_id").next().is_some();
        match (asked, usual) {
            (Ok(asked), _) => Ok(Self {
                dashboard,
                ready,
                asked,
                here,
            }),
            // Mostly one that was deleted a moment ago, by a button that was pressed twice.
            (Err(_), Ok(asked)) if names_an_app => {
                let text = ready.asking.texts.apps.no_such_app;
                let visit = Self {
                    dashboard,
                    ready,
                    asked,
                    here,
                };
                Err(visit.unknown(text))
            }
            (Err(error), _) => Err(not_understood(&ready, &error)),
        }
    }

    /// Whether forms that change the workspace are shown.
    pub(super) fn may_change(&self) -> bool {
        self.ready.visitor.may_change()
    }

    /// The address of a page of this workspace.
    pub(super) fn link(&self, path: &str) -> String {
        self.asked.but(|asked| asked.app = None).link(path)
    }

    /// The same, about one thing.
    pub(super) fn link_about(&self, path: &str, name: &str, id: impl Display) -> String {
        let link = self.link(path);
        let separator = if link.contains('?') { '&' } else { '?' };
        format!("{link}{separator}{name}={id}")
    }

    /// A page of these, at an address of its own.
    pub(super) fn page(
        &self,
        status: StatusCode,
        (title, address): (&str, &str),
        content: Markup,
    ) -> Response<Body> {
        at(
            &self.ready,
            &self.asked,
            (self.here, title),
            address,
            status,
            None,
            content,
        )
    }

    /// What the address names is not there.
    pub(super) fn unknown(&self, what: &str) -> Response<Body> {
        let texts = self.ready.asking.texts;
        let (title, on) = match self.here {
            Here::Segments => (texts.segments.title, self.link(segments::PATH)),
            _ => (texts.apps.title, self.link(apps::PATH)),
        };
        let content = html! {
            .heading { h1 { (title) } }
            .notice.bad role="alert" { p { (what) } p { a href=(on) { (title) } } }
        };
        self.page(StatusCode::NOT_FOUND, (title, &on), content)
    }

    /// Sessions between each two neighbouring edges; `None` while they are being counted.
    pub(super) async fn count(
        &self,
        scope: Scope,
        whose: Whose<'_>,
        edges: &[i64],
    ) -> Result<Option<Vec<u64>>, StoreError> {
        match self.dashboard.store().count(scope, whose, edges).await {
            Ok(counts) => Ok(Some(counts)),
            Err(StoreError::Counting(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page with a form, with what is wrong about what was typed into it.
    pub(super) fn form_page(
        &self,
        (title, address): (&str, &str),
        heading: Markup,
        problems: &[Problem],
        fields: Markup,
    ) -> Answered {
        let form = self.form(address, fields)?;
        let content = html! {
            .heading { h1 { (heading) } }
            (summary(problems, self.ready.asking.texts))
            section.card { (form) }
        };
        Ok(self.page(status(problems), (title, address), content))
    }

    /// What sends a form, and the way back.
    pub(super) fn buttons(&self, (text, class): (&str, &str), back: &str) -> Markup {
        html! {
            .buttons {
                button class=(class) { (text) }
                a href=(self.link(back)) { (self.ready.asking.texts.apps.cancel) }
            }
        }
    }

    /// `Wed 25 Nov 2026, 14:31`, by the clocks of the workspace.
    pub(super) fn moment(&self, at: Millis) -> String {
        dates::moment(at, &self.ready.workspace.zone, self.ready.asking.texts)
    }

    /// A form that changes something, sent to its own address.
    pub(super) fn form(&self, address: &str, content: Markup) -> Result<Markup, StoreError> {
        let form_token = self.ready.token.form_token()?;
        Ok(html! {
            form.fields method="post" action=(address) { (forgery::field(&form_token)) (content) }
        })
    }
}

/// Shows a page to somebody who is in.
pub(super) async fn shown(
    dashboard: &Dashboard,
    request: Request<Body>,
    path: &str,
    page: impl AsyncFnOnce(&Visit<'_>, &Query<'_>) -> Answered,
) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let visit = match Visit::begin(dashboard, &parts, path).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let answered = page(&visit, &Query::new(parts.uri.query())).await;
    finished(&visit, answered)
}

/// Does what somebody who is in has sent a form for: `change` gets the query and the form.
pub(super) async fn sent(
    dashboard: &Dashboard,
    request: Request<Body>,
    path: &str,
    change: impl AsyncFnOnce(&Visit<'_>, &Query<'_>, &Query<'_>) -> Answered,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let visit = match Visit::begin(dashboard, &parts, path).await {
        Ok(visit) => visit,
        Err(answer) => return answer,
    };
    let asking = &visit.ready.asking;
    let Some(form) = read_large_form(body).await else {
        let on = (visit.link(path), asking.texts.try_again);
        let text = asking.texts.apps.form_is_too_large;
        return asking.saying(StatusCode::PAYLOAD_TOO_LARGE, text, "", (&on.0, on.1));
    };
    let form = Query::new(Some(&form));
    let form_token = form.all(forgery::FIELD).next();
    if !forgery::is_genuine(&asking.headers, &visit.ready.token, form_token.as_deref()) {
        return asking.forged();
    }
    let answered = change(&visit, &Query::new(parts.uri.query()), &form).await;
    finished(&visit, answered)
}

fn finished(visit: &Visit<'_>, answered: Answered) -> Response<Body> {
    let ready = &visit.ready;
    let response = answered.unwrap_or_else(|error| ready.asking.store_failed(&error));
    respond::with(response, SET_COOKIE, ready.cookie.clone())
}

/// What was typed into a field.
pub(super) fn typed(form: &Query<'_>, name: &str) -> String {
    form.all(name).next().map(Cow::into_owned).unwrap_or_default()
}
