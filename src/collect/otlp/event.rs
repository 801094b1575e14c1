//! What a log record says about a session.

use std::borrow::Cow;

use super::naming::{Told, told, told_by_body};
use super::{Context, Delivery, Ending, OtlpError};
use crate::collect::ItemError;
use crate::collect::json::MAX_SESSIONS;
use crate::collect::mend::{self, Fitting};
use crate::collect::wire::required;
use crate::model::{
    AppId, AttributeValue, Millis, NewSession, Properties, PropertyFields, Session, SessionEnd, StartLimits,
};

/// Attributes of one record or resource that are looked at, as many as SDKs keep.
const MAX_READ: usize = 128;
/// A longer body of a record is no session event.
pub(super) const MAX_BODY: usize = 8 * 1024;
const NANOS_PER_MILLI: u64 = 1_000_000;

const APP: &str = "sessionmeter.app.id";
const SESSION: &str = "session.id";
const PREVIOUS: &str = "session.previous_id";
const EVENT: [&str; 3] = ["event.name", "event_name", "eventName"];
const USER: [&str; 2] = ["user.id", "enduser.id"];
const DEVICE: [&str; 2] = ["device.id", "app.installation.id"];
const PLATFORM: [&str; 3] = ["os.name", "os.type", "browser.platform"];
const OS_VERSION: [&str; 1] = ["os.version"];
const APP_VERSION: [&str; 1] = ["service.version"];
const MODEL: [&str; 2] = ["device.model.identifier", "device.model.name"];
const COUNTRY: [&str; 1] = ["geo.country.iso_code"];
const LANGUAGE: [&str; 1] = ["browser.language"];

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    Double(f64),
    Bool(bool),
    /// Lists, maps, bytes and nothing.
    Other,
}

/// Attributes as they came, the first ones.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Attributes<'a> {
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        if self.0.len() < MAX_READ {
            self.0.push((name, value));
        }
    }

    fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// The body of a log record, as far as events are told by it.
#[derive(Debug, Default)]
pub(super) enum Body<'a> {
    /// Neither of these, or too long.
    #[default]
    Other,
    Text(Cow<'a, str>),
    /// A map, which older SDKs fill with what others call attributes.
    Map(Attributes<'a>),
}

/// A log record. 0 is an unknown time.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) event_name: Option<Cow<'a, str>>,
    /// The field that had the event's name in older versions of the protocol.
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) time_unix_nano: u64,
    pub(super) observed_time_unix_nano: u64,
    pub(super) body: Body<'a>,
    pub(super) attributes: Attributes<'a>,
}

impl Record<'_> {
    /// The first of its names that says anything about a session.
    fn told(&self) -> (Told, &str) {
        let fields = [&self.event_name, &self.name].into_iter().flatten();
        let fields = fields.map(|name| (told(name), name.as_ref()));
        let of_map = match &self.body {
            Body::Map(map) => Some(map),
            Body::Text(_) | Body::Other => None,
        };
        let maps = [Some(&self.attributes), of_map].into_iter().flatten();
        let named = maps.flat_map(|map| EVENT.iter().filter_map(|name| map.text(name)));
        let named = named.map(|name| (told(name), name));
        let of_text = match &self.body {
            Body::Text(text) => Some((told_by_body(text), text.as_ref())),
            Body::Map(_) | Body::Other => None,
        };
        let mut all = fields.chain(named).chain(of_text);
        all.find(|(told, _)| *told != Told::Nothing)
            .unwrap_or((Told::Nothing, ""))
    }
}

/// Takes log records one by one.
pub(super) struct Gatherer<'c> {
    context: &'c Context<'c>,
    delivery: Delivery,
    records: usize,
    events: usize,
}

enum Refusal {
    App(ItemError),
    Other(ItemError),
}

impl From<ItemError> for Refusal {
    fn from(error: ItemError) -> Self {
        Self::Other(error)
    }
}

impl<'c> Gatherer<'c> {
    pub(super) fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            delivery: Delivery::default(),
            records: 0,
            events: 0,
        }
    }

    pub(super) fn take(&mut self, resource: &Attributes<'_>, record: &Record<'_>) {
        let index = self.records;
        self.records += 1;
        let (told, name) = record.told();
        if told == Told::Nothing {
            return;
        }
        self.events += 1;
        if self.events > MAX_SESSIONS {
            return;
        }
        let event = Event {
            context: self.context,
            resource,
            record,
        };
        let taken = match told {
            Told::Start => event.start(&mut self.delivery),
            Told::End => event.end(index, &mut self.delivery),
            Told::Unclear | Told::Nothing => Err(Refusal::Other(ItemError(format!(
                "the event '{name}' is not understood: those of sessions are 'session.start' and 'session.end'"
            )))),
        };
        match taken {
            Ok(()) => {}
            Err(Refusal::Other(error)) => self.delivery.refused.push((index, error)),
            Err(Refusal::App(error)) => {
                self.delivery.without_app += 1;
                self.delivery.refused.push((index, error));
            }
        }
    }

    /// Passes over a record that can't be read, or refuses it if it may be about a session.
    pub(super) fn refuse(&mut self, concerns_sessions: bool, reason: &str) {
        let index = self.records;
        self.records += 1;
        if !concerns_sessions {
            return;
        }
        self.events += 1;
        if self.events <= MAX_SESSIONS {
            let error = ItemError(format!("not a log record: {reason}"));
            self.delivery.refused.push((index, error));
        }
    }

    pub(super) fn finish(self) -> Result<Delivery, OtlpError> {
        if self.events > MAX_SESSIONS {
            Err(OtlpError::TooMany)
        } else {
            Ok(self.delivery)
        }
    }
}

/// A record that is about a session.
struct Event<'e> {
    context: &'e Context<'e>,
    resource: &'e Attributes<'e>,
    record: &'e Record<'e>,
}

impl Event<'_> {
    fn start(&self, delivery: &mut Delivery) -> Result<(), Refusal> {
        let (app, limits) = self.app()?;
        let session_id = self.session_id()?;
        let started_at = self.time()?;
        let new = NewSession {
            app,
            session_id,
            started_at,
            end: None,
            user_id: self.identity(&USER),
            device_id: self.identity(&DEVICE),
            properties: self.properties()?,
        };
        let session =
            Session::new(new, limits).map_err(|error| ItemError(name_as_here(&error.to_string())))?;
        delivery.sessions.push(session);
        let previous = self.own().find_map(|source| source.text(PREVIOUS));
        if let Some(previous) = previous.filter(|previous| *previous != session_id)
            && let Ok(end) = SessionEnd::new(app, previous, started_at, limits)
        {
            delivery.ends.push(Ending { end, record: None });
        }
        Ok(())
    }

    fn end(&self, index: usize, delivery: &mut Delivery) -> Result<(), Refusal> {
        let (app, limits) = self.app()?;
        let end = SessionEnd::new(app, self.session_id()?, self.time()?, limits)
            .map_err(|error| ItemError(name_as_here(&error.to_string())))?;
        delivery.ends.push(Ending {
            end,
            record: Some(index),
        });
        Ok(())
    }

    /// The record's own values; of two with one name the first counts.
    fn own(&self) -> impl Iterator<Item = &Attributes<'_>> {
        let of_body = match &self.record.body {
            Body::Map(map) => Some(map),
            Body::Text(_) | Body::Other => None,
        };
        std::iter::once(&self.record.attributes).chain(of_body)
    }

    /// The record's own value, else the resource's.
    fn text(&self, names: &[&str]) -> Option<&str> {
        self.own()
            .chain(std::iter::once(self.resource))
            .flat_map(|source| names.iter().filter_map(|name| source.text(name)))
            .find(|text| !text.is_empty())
    }

    /// The app, and when its sessions may start.
    fn app(&self) -> Result<(AppId, StartLimits), Refusal> {
        let of_header = || self.context.app.map(|id| Cow::Owned(id.to_string()));
        let Some(text) = self.text(&[APP]).map(Cow::Borrowed).or_else(of_header) else {
            let where_it_belongs =
                "the id of an app, in the request's header 'sessionmeter-app' or as a resource attribute";
            return Err(Refusal::App(required(APP, where_it_belongs)));
        };
        let app = text.parse().ok().and_then(|id| self.context.catalog.app(id));
        let Some((entry, app)) = app else {
            let received: String = text.chars().take(100).collect();
            return Err(Refusal::App(ItemError(format!(
                "'{APP}' must be the id of an app of this server, received '{received}'"
            ))));
        };
        Ok((app.id, entry.workspace.start_limits(self.context.now)))
    }

    fn session_id(&self) -> Result<&str, ItemError> {
        self.text(&[SESSION])
            .ok_or_else(|| required(SESSION, "an attribute of 1 to 128 bytes"))
    }

    fn time(&self) -> Result<Millis, ItemError> {
        let nanos = match self.record.time_unix_nano {
            0 => self.record.observed_time_unix_nano,
            nanos => nanos,
        };
        match Millis::try_from(nanos / NANOS_PER_MILLI) {
            Ok(millis) if nanos > 0 => Ok(millis),
            _ => Err(required(
                "timeUnixNano",
                "nanoseconds since 1970, or observedTimeUnixNano instead",
            )),
        }
    }

    fn identity(&self, names: &[&str]) -> Option<&str> {
        mend::identity(self.text(names))
    }

    /// What does not fit is left out: a session counts all the same.
    fn properties(&self) -> Result<Properties, ItemError> {
        let fields = mend::fields(&PropertyFields {
            platform: self.text(&PLATFORM),
            os_version: self.text(&OS_VERSION),
            app_version: self.text(&APP_VERSION),
            device_model: self.text(&MODEL),
            country: self.text(&COUNTRY),
            language: self.text(&LANGUAGE),
        });
        Properties::new(&fields, self.attributes().0).map_err(|error| ItemError(error.to_string()))
    }

    /// The record's own attributes that have no other place.
    fn attributes(&self) -> Fitting<'_> {
        let mut kept = Fitting::default();
        for (name, value) in self.own().flat_map(|source| &source.0) {
            if is_mapped(name) {
                continue;
            }
            let value = match value {
                Value::Text(text) => AttributeValue::Text(Cow::Borrowed(text)),
                Value::Integer(number) => AttributeValue::Number((*number).into()),
                Value::Double(number) => match serde_json::Number::from_f64(*number) {
                    Some(number) => AttributeValue::Number(number),
                    None => continue,
                },
                Value::Bool(flag) => AttributeValue::Bool(*flag),
                Value::Other => continue,
            };
            kept.push(Cow::Borrowed(name), value);
        }
        kept
    }
}

fn is_mapped(name: &str) -> bool {
    [APP, SESSION, PREVIOUS].contains(&name)
        || [
            &EVENT[..],
            &USER,
            &DEVICE,
            &PLATFORM,
            &OS_VERSION,
            &APP_VERSION,
            &MODEL,
            &COUNTRY,
            &LANGUAGE,
        ]
        .iter()
        .any(|names| names.contains(&name))
}

/// The model speaks of its own fields; here they have other names.
fn name_as_here(message: &str) -> String {
    message
        .replace("'session_id'", "'session.id'")
        .replace("'started_at'", "'timeUnixNano'")
}
