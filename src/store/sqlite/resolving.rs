//! Who the sessions of a batch belong to, and which of them is the first of its person.
//!
//! Which session is the first must not depend on how deliveries were grouped: it is the first one, in the order of
//! delivery, that was not recorded before. Whether it was shows when it is inserted. So of a person of whom no session is
//! recorded yet (a newcomer) the first delivery is a candidate, and the person's others wait until that one is inserted.

use foldhash::{HashMap, HashSet};

use super::batch::Batch;
use super::interning::{Found, Identity, IdentityKey, IdentityKind, Interner};
use crate::store::recent::Digest;
use crate::store::{Recorded, StoreError};

/// Whose session a delivery is, and what that adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Who {
    /// Ordinals.
    pub(super) user: Option<i64>,
    pub(super) device: Option<i64>,
    /// Ordinal of the user's attributes, 0 for none.
    pub(super) attributes: u32,
    person: Person,
}

/// The person of a session: the user, else the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Person {
    /// Nobody is named.
    #[default]
    Nobody,
    /// A session of this person is recorded, or this one never will be.
    Known,
    /// By number.
    Newcomer(usize),
}

/// A person of whom no session was recorded when the batch began.
struct Newcomer {
    digest: Digest,
    identity: Identity,
    /// The delivery that is the first session unless it turns out to be recorded already.
    candidate: usize,
}

/// An identity that this transaction has added.
struct Added {
    digest: Digest,
    identity: Identity,
    /// Whether its row says that a session of it is recorded.
    noted: bool,
}

/// See the module.
pub(super) struct People {
    /// In the order of the keys, in which it is asked for.
    who: Vec<Who>,
    newcomers: Vec<Newcomer>,
    /// By ordinal.
    added: HashMap<i64, Added>,
}

impl People {
    /// Finds everybody whom the batch names, and adds those who are new.
    pub(super) fn resolve(interner: &mut Interner<'_>, batch: &Batch) -> Result<Self, StoreError> {
        let mut people = Self {
            who: vec![Who::default(); batch.deliveries().len()],
            newcomers: Vec::new(),
            added: HashMap::default(),
        };
        let named = people.name(interner, batch)?;
        let mut numbers = HashMap::<i64, usize>::default();
        for (place, (delivery, named)) in batch.deliveries().iter().zip(named).enumerate() {
            let person = match (delivery.user(), delivery.device()) {
                (Some((_, digest)), _) => named.user.map(|user| (digest, user)),
                (None, Some((_, digest))) => named.device.map(|device| (digest, device)),
                (None, None) => None,
            };
            let person = match person {
                None => Person::Nobody,
                Some((_, Identity { seen: true, .. })) => Person::Known,
                Some(_) if delivery.repeated => Person::Known,
                Some((digest, identity)) => match numbers.get(&identity.ordinal) {
                    Some(number) => Person::Newcomer(*number),
                    None => {
                        let newcomer = Newcomer {
                            digest,
                            identity,
                            candidate: place,
                        };
                        let person = people.welcome(interner, newcomer)?;
                        if let Person::Newcomer(number) = person {
                            numbers.insert(identity.ordinal, number);
                        }
                        person
                    }
                },
            };
            if let Some(who) = people.who.get_mut(delivery.rank) {
                *who = Who {
                    user: named.user.map(|user| user.ordinal),
                    device: named.device.map(|device| device.ordinal),
                    attributes: named.user.map_or(0, |user| user.attributes),
                    person,
                };
            }
        }
        Ok(people)
    }

    /// The identities that each delivery names.
    fn name<'b>(&mut self, interner: &mut Interner<'_>, batch: &'b Batch) -> Result<Vec<Named>, StoreError> {
        let mut named = Vec::with_capacity(batch.deliveries().len());
        let mut missing = Vec::new();
        for (place, delivery) in batch.deliveries().iter().enumerate() {
            let mut look = |named: Option<(IdentityKey<'b>, Digest)>| {
                let (key, digest) = named?;
                let known = interner.known(digest);
                if known.is_none() {
                    missing.push(Missing { key, place, digest });
                }
                known
            };
            named.push(Named {
                user: look(delivery.user()),
                device: look(delivery.device()),
            });
        }
        // Neighbours share pages.
        missing.sort_unstable_by_key(|missing| missing.key);
        for same in missing.chunk_by(|one, two| one.key == two.key) {
            let Some(Missing { key, digest, .. }) = same.first() else {
                continue;
            };
            let is_person = |missing: &Missing<'_>| {
                let delivery = batch.deliveries().get(missing.place);
                delivery.is_some_and(|delivery| !delivery.repeated && delivery.is_of(key.1))
            };
            let identity = self.find_or_add(interner, *key, *digest, same.iter().any(is_person))?;
            for missing in same {
                if let Some(named) = named.get_mut(missing.place) {
                    named.set(key.1, identity);
                }
            }
        }
        Ok(named)
    }

    /// A new person is noted as seen at once, since most sessions are new.
    fn find_or_add(
        &mut self,
        interner: &mut Interner<'_>,
        key: IdentityKey<'_>,
        digest: Digest,
        is_person: bool,
    ) -> Result<Identity, StoreError> {
        let (identity, found) = interner.find_or_add(key, is_person)?;
        if found == Found::Known {
            interner.note(digest, identity);
        } else {
            let added = Added {
                digest,
                identity,
                noted: is_person,
            };
            self.added.insert(identity.ordinal, added);
        }
        Ok(identity)
    }

    /// Another process may have recorded a session of a newcomer since that was looked up.
    fn welcome(&mut self, interner: &mut Interner<'_>, newcomer: Newcomer) -> Result<Person, StoreError> {
        let ordinal = newcomer.identity.ordinal;
        if !self.added.contains_key(&ordinal) && interner.is_seen(ordinal)? {
            let seen = Identity {
                seen: true,
                ..newcomer.identity
            };
            interner.note(newcomer.digest, seen);
            return Ok(Person::Known);
        }
        self.newcomers.push(newcomer);
        Ok(Person::Newcomer(self.newcomers.len() - 1))
    }

    /// Whose sessions the rows are, in their order.
    pub(super) fn of_rows(&mut self) -> Vec<Who> {
        std::mem::take(&mut self.who)
    }

    /// Whether a delivery can be inserted before it is known what becomes of the others: it is nobody's first session, or
    /// it is its person's candidate.
    pub(super) fn can_go_first(&self, place: usize, who: Who) -> bool {
        match who.person {
            Person::Nobody | Person::Known => true,
            Person::Newcomer(number) => {
                let newcomer = self.newcomers.get(number);
                newcomer.is_some_and(|newcomer| newcomer.candidate == place)
            }
        }
    }

    /// Whether a session is the first of its person if it is recorded now; `None` where nobody is named.
    pub(super) fn is_first(&self, who: Who) -> Option<bool> {
        match who.person {
            Person::Nobody => None,
            Person::Known => Some(false),
            Person::Newcomer(number) => {
                let newcomer = self.newcomers.get(number);
                Some(newcomer.is_some_and(|newcomer| !newcomer.identity.seen))
            }
        }
    }

    /// A session of this person is recorded now.
    pub(super) fn see(&mut self, who: Who) {
        if let Person::Newcomer(number) = who.person
            && let Some(newcomer) = self.newcomers.get_mut(number)
        {
            newcomer.identity.seen = true;
        }
    }

    /// Brings the store in line with what became of the deliveries: who was seen, and whom nobody needs.
    pub(super) fn finish(
        mut self,
        interner: &mut Interner<'_>,
        outcomes: impl Iterator<Item = (Who, Recorded)> + Clone,
    ) -> Result<(), StoreError> {
        let mut unused = HashSet::default();
        if !self.added.is_empty() {
            unused = self.only_in_duplicates(outcomes);
        }
        for newcomer in self.newcomers {
            let Identity { ordinal, seen, .. } = newcomer.identity;
            let noted = match self.added.remove(&ordinal) {
                Some(added) => added.noted,
                None => false,
            };
            if unused.contains(&ordinal) {
                interner.remove(ordinal)?;
                continue;
            }
            if seen != noted {
                interner.set_seen(ordinal, seen)?;
            }
            interner.note(newcomer.digest, newcomer.identity);
        }
        for (ordinal, added) in self.added {
            if unused.contains(&ordinal) {
                interner.remove(ordinal)?;
            } else {
                interner.note(added.digest, added.identity);
            }
        }
        Ok(())
    }

    /// Identities that were added for sessions that had been recorded before: nothing refers to them.
    fn only_in_duplicates(&self, outcomes: impl Iterator<Item = (Who, Recorded)> + Clone) -> HashSet<i64> {
        let of = |outcome: Recorded| {
            let such = outcomes.clone().filter(move |(_, other)| *other == outcome);
            such.flat_map(|(who, _)| who.user.into_iter().chain(who.device))
        };
        let mut unused: HashSet<i64> = of(Recorded::Duplicate)
            .filter(|ordinal| self.added.contains_key(ordinal))
            .collect();
        if !unused.is_empty() {
            of(Recorded::New).for_each(|ordinal| _ = unused.remove(&ordinal));
        }
        unused
    }
}

/// The identities that a delivery names.
struct Named {
    user: Option<Identity>,
    device: Option<Identity>,
}

impl Named {
    fn set(&mut self, kind: IdentityKind, identity: Identity) {
        match kind {
            IdentityKind::User | IdentityKind::ForgottenUser => self.user = Some(identity),
            IdentityKind::Device | IdentityKind::ForgottenDevice => self.device = Some(identity),
        }
    }
}

/// An identity that is not in memory, where a delivery names it.
struct Missing<'a> {
    key: IdentityKey<'a>,
    place: usize,
    digest: Digest,
}
