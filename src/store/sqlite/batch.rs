//! Sessions prepared for the writer, for whom everyone waits: sorted, and everything hashed that it looks up. Whoever hands
//! them over does that, in parallel with the writer and with others.

use std::collections::HashMap;

use uuid::Uuid;

use super::days::AppDay;
use super::interning::{IdentityKey, IdentityKind};
use crate::model::{AppId, Session};
use crate::store::StoreError;
use crate::store::recent::{Digest, Digests};
use crate::store::records::Forgotten;

/// A session id as the store keeps it. Ordered as SQLite orders it: texts before blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StoredSessionId<'a> {
    Text(&'a str),
    Uuid([u8; 16]),
}

impl<'a> From<&'a str> for StoredSessionId<'a> {
    fn from(text: &'a str) -> Self {
        let canonical = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse(text) {
            Ok(uuid) if canonical => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(text),
        }
    }
}

impl rusqlite::ToSql for StoredSessionId<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Uuid(bytes) => Ok(rusqlite::types::ToSqlOutput::from(bytes.as_slice())),
        }
    }
}

/// See the module.
pub(super) struct Batch {
    /// In the order in which they were delivered.
    deliveries: Vec<Delivery>,
    /// One for each delivery, in the order of the sessions' keys: neighbours share pages, which is what keeps large stores
    /// fast. Those of one session stand in the order of delivery.
    rows: Vec<Row>,
}

/// What another store says of a session besides what was delivered.
pub(super) struct Adopted {
    /// The properties with which it has it.
    pub(super) recorded: String,
    /// Its person, in words, where that one was forgotten.
    forgotten: Option<String>,
}

impl Adopted {
    pub(super) fn new(recorded: String, forgotten: Option<Forgotten>) -> Self {
        Self {
            recorded,
            forgotten: forgotten.map(|number| number.to_string()),
        }
    }
}

/// A session as it was delivered, and whose it is.
pub(super) struct Delivery {
    pub(super) session: Session,
    /// How another store has it.
    pub(super) adopted: Option<Adopted>,
    /// Ordinal of the workspace.
    workspace: i64,
    user: Option<Digest>,
    device: Option<Digest>,
    /// Which of the rows it is.
    pub(super) rank: usize,
    /// As that of its row.
    pub(super) repeated: bool,
}

/// A session as it goes into the table. Rows are read one after the other and deliveries in no order, so what inserting most
/// sessions needs stands here.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Which of the deliveries it is.
    pub(super) place: usize,
    pub(super) of: AppDay,
    uuid: Option<[u8; 16]>,
    /// Milliseconds since the day began.
    pub(super) start: u32,
    /// In milliseconds.
    pub(super) duration: Option<u32>,
    /// Of its own properties, or of those with which another store has it.
    pub(super) properties: Digest,
    /// Whether another store has it with properties of its own.
    pub(super) is_adopted: bool,
    /// Whether an earlier delivery of the batch is the same session.
    pub(super) repeated: bool,
}

impl Delivery {
    fn new(digests: &Digests, session: Session, adopted: Option<Adopted>, workspace: i64) -> Self {
        let digest = |kind, id| {
            let key: IdentityKey<'_> = (workspace, kind, id);
            digests.of(key)
        };
        Self {
            user: user(&session, adopted.as_ref()).map(|(kind, id)| digest(kind, id)),
            device: session.device_id().map(|id| digest(IdentityKind::Device, id)),
            session,
            adopted,
            workspace,
            rank: 0,
            repeated: false,
        }
    }

    /// Its user, with the digest of the key.
    pub(super) fn user(&self) -> Option<(IdentityKey<'_>, Digest)> {
        let (kind, id) = user(&self.session, self.adopted.as_ref())?;
        Some(((self.workspace, kind, id), self.user?))
    }

    /// Its device, likewise.
    pub(super) fn device(&self) -> Option<(IdentityKey<'_>, Digest)> {
        let key = (self.workspace, IdentityKind::Device, self.session.device_id()?);
        Some((key, self.device?))
    }

    /// Whether this is the person whose session it is: the user, else the device.
    pub(super) fn is_of(&self, kind: IdentityKind) -> bool {
        match kind {
            IdentityKind::User | IdentityKind::ForgottenUser => true,
            IdentityKind::Device | IdentityKind::ForgottenDevice => self.user.is_none(),
        }
    }
}

/// Whose session it is, if not a device's.
fn user<'a>(session: &'a Session, adopted: Option<&'a Adopted>) -> Option<(IdentityKind, &'a str)> {
    let forgotten = adopted.and_then(|adopted| adopted.forgotten.as_deref());
    match forgotten {
        Some(number) => Some((IdentityKind::ForgottenUser, number)),
        None => session.user_id().map(|id| (IdentityKind::User, id)),
    }
}

impl Row {
    fn new(digests: &Digests, place: usize, app: i64, delivery: &Delivery) -> Self {
        let session = &delivery.session;
        let properties = match &delivery.adopted {
            Some(adopted) => digests.of((&adopted.recorded, "recorded")),
            None => digests.of(session.properties().as_str()),
        };
        Self {
            place,
            of: (app, session.utc_day()),
            uuid: match session.session_id().into() {
                StoredSessionId::Uuid(bytes) => Some(bytes),
                StoredSessionId::Text(_) => None,
            },
            // A day has fewer milliseconds than fit.
            start: u32::try_from(session.millis_of_day()).unwrap_or(u32::MAX),
            duration: session.duration(),
            properties,
            is_adopted: delivery.adopted.is_some(),
            repeated: false,
        }
    }

    /// The session's id.
    pub(super) fn id<'a>(&self, delivery: &'a Delivery) -> StoredSessionId<'a> {
        match self.uuid {
            Some(bytes) => StoredSessionId::Uuid(bytes),
            None => StoredSessionId::Text(delivery.session.session_id()),
        }
    }
}

impl Batch {
    /// # Errors
    /// [`StoreError::NotFound`] for an app that there is not.
    pub(super) fn new(
        sessions: impl IntoIterator<Item = (Session, Option<Adopted>)>,
        apps: &HashMap<AppId, (i64, i64)>,
        digests: &Digests,
    ) -> Result<Self, StoreError> {
        let sessions = sessions.into_iter();
        let (least, _) = sessions.size_hint();
        let (mut deliveries, mut rows) = (Vec::with_capacity(least), Vec::with_capacity(least));
        for (session, adopted) in sessions {
            let (app, workspace) = *apps
                .get(&session.app())
                .ok_or_else(|| StoreError::unknown("app", session.app()))?;
            let delivery = Delivery::new(digests, session, adopted, workspace);
            rows.push(Row::new(digests, deliveries.len(), app, &delivery));
            deliveries.push(delivery);
        }
        sort(&mut rows, &mut deliveries);
        Ok(Self { deliveries, rows })
    }

    /// In the order of delivery.
    pub(super) fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// In the order of the keys, with their deliveries.
    pub(super) fn by_key(&self) -> impl Iterator<Item = (&Row, &Delivery)> + Clone {
        let delivery = |row: &Row| self.deliveries.get(row.place);
        self.rows
            .iter()
            .filter_map(move |row| Some((row, delivery(row)?)))
    }
}

/// Sorts rows by key, and tells the deliveries their places and which are of sessions that an earlier one brought.
fn sort(rows: &mut [Row], deliveries: &mut [Delivery]) {
    {
        let text = |row: &Row| match row.uuid {
            Some(_) => None,
            None => deliveries
                .get(row.place)
                .map(|delivery| delivery.session.session_id()),
        };
        // Texts before UUIDs; `None` is less than any UUID.
        rows.sort_unstable_by(|one, two| {
            let by_key = (one.of, one.uuid).cmp(&(two.of, two.uuid));
            by_key
                .then_with(|| text(one).cmp(&text(two)))
                .then(one.place.cmp(&two.place))
        });
    }
    let same = |one: &Row, two: &Row| {
        one.of == two.of && one.uuid == two.uuid && {
            let id = |row: &Row| {
                deliveries
                    .get(row.place)
                    .map(|delivery| delivery.session.session_id())
            };
            one.uuid.is_some() || id(one) == id(two)
        }
    };
    let pairs = rows.windows(2).map(|pair| match pair {
        [one, two] => same(one, two),
        _ => false,
    });
    let repeated: Vec<bool> = std::iter::once(false).chain(pairs).collect();
    for (rank, (row, repeated)) in rows.iter_mut().zip(repeated).enumerate() {
        row.repeated = repeated;
        if let Some(delivery) = deliveries.get_mut(row.place) {
            (delivery.rank, delivery.repeated) = (rank, repeated);
        }
    }
}
