//! Memory for the bodies of requests: what all of them together may hold at one time, and what one address may.
//!
//! Small bodies are outside the budget, so that nobody who sends large ones keeps out those who send small ones. Bodies of
//! requests with a key and without one have budgets of their own for the same reason.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;

use axum::http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::too_large;
use crate::api::client_address::Client;
use crate::api::error::ApiError;
use crate::api::rate_limit::of_subscriber;

/// The largest body, before and after decompression.
pub(super) const MAX_BODY: usize = 32 * MIB;
/// Up to this size a body is small.
pub(super) const SMALL: usize = 64 * 1024;
const MIB: usize = 1024 * 1024;
/// Beyond this size memory is counted in whole steps. Two MiB is the size of a huge page, which is how the operating system
/// may hand it out.
const MEDIUM: usize = MIB;
const STEP: usize = 2 * MIB;
/// Longer than any body. glibc gives the memory of an allocation of more than 32 MiB back as soon as it is freed, and
/// what was not written to takes none.
const RESERVED: usize = MAX_BODY + MIB;
/// Bodies of requests with a key.
const KEYED: Limits = Limits {
    total: 160 * MIB,
    share: 96 * MIB,
};
/// Bodies of requests without a key. A share has room for the largest body, compressed and not.
const KEYLESS: Limits = Limits {
    total: 96 * MIB,
    share: 72 * MIB,
};

/// Who sends a body, for the budgets. Put into a request by what lets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::api) struct Origin {
    is_keyless: bool,
    client: Option<Client>,
}

impl Origin {
    /// A caller with a key.
    pub(in crate::api) fn keyed(client: Option<Client>) -> Self {
        Self {
            is_keyless: false,
            client: client.map(of_subscriber),
        }
    }

    /// A client without one.
    pub(in crate::api) fn keyless(client: Option<Client>) -> Self {
        Self {
            is_keyless: true,
            client: client.map(of_subscriber),
        }
    }
}

/// The budgets of a server.
#[derive(Debug)]
pub struct MemoryBudget {
    keyed: Arc<Pool>,
    keyless: Arc<Pool>,
    readers: Readers,
}

/// How many bodies may be decompressed and parsed at one time, where that takes long.
#[derive(Debug)]
struct Readers {
    keyed: Arc<Semaphore>,
    /// Half as many, so that clients without a key never take every processor.
    keyless: Arc<Semaphore>,
    /// For small bodies that are compressed: also those can take a tenth of a second.
    small_keyless: Arc<Semaphore>,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            keyed: Arc::new(Pool::new(KEYED)),
            keyless: Arc::new(Pool::new(KEYLESS)),
            readers: Readers {
                keyed: Arc::new(Semaphore::new(processors)),
                keyless: Arc::new(Semaphore::new((processors / 2).max(1))),
                small_keyless: Arc::new(Semaphore::new(processors)),
            },
        }
    }
}

impl MemoryBudget {
    /// Room for a body of which `expected` bytes are announced.
    pub(super) fn buffer(&self, origin: Origin, expected: usize) -> Buffer {
        let pool = if origin.is_keyless {
            &self.keyless
        } else {
            &self.keyed
        };
        Buffer {
            bytes: Vec::with_capacity(expected.min(SMALL)),
            lease: Lease {
                pool: pool.clone(),
                holder: origin.client,
                bytes: 0,
            },
            beside: 0,
        }
    }

    /// Waits for the turn of a body to be decompressed and parsed. Most are small and plain, and need not wait.
    pub(super) async fn turn(
        &self,
        origin: Origin,
        is_large: bool,
        is_compressed: bool,
    ) -> Option<OwnedSemaphorePermit> {
        let readers = match (origin.is_keyless, is_large) {
            (false, true) => &self.readers.keyed,
            (true, true) => &self.readers.keyless,
            (true, false) if is_compressed => &self.readers.small_keyless,
            (_, false) => return None,
        };
        readers.clone().acquire_owned().await.ok()
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    total: usize,
    share: usize,
}

/// One budget.
#[derive(Debug)]
struct Pool {
    limits: Limits,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_holder: HashMap<Option<Client>, usize>,
}

impl Pool {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            used: Mutex::default(),
        }
    }

    fn take(&self, holder: Option<Client>, bytes: usize) -> Result<(), ApiError> {
        let mut used = self.used.lock();
        let of_holder = used.by_holder.get(&holder).copied().unwrap_or(0) + bytes;
        if of_holder > self.limits.share {
            return Err(full(format!(
                "this address is sending as many large bodies as one may at a time, {} MiB together",
                self.limits.share / MIB
            )));
        }
        if used.total + bytes > self.limits.total {
            return Err(full(
                "the server is reading as many large bodies as it can".into(),
            ));
        }
        used.total += bytes;
        used.by_holder.insert(holder, of_holder);
        Ok(())
    }

    fn give_back(&self, holder: Option<Client>, bytes: usize) {
        let mut used = self.used.lock();
        used.total = used.total.saturating_sub(bytes);
        if let Some(of_holder) = used.by_holder.get_mut(&holder) {
            *of_holder = of_holder.saturating_sub(bytes);
            if *of_holder == 0 {
                used.by_holder.remove(&holder);
            }
        }
    }
}

fn full(reason: String) -> ApiError {
    let message = format!("{reason}; nothing was recorded, try again");
    ApiError::retry(StatusCode::SERVICE_UNAVAILABLE, message, 1)
}

/// What one body holds of a budget; given back when dropped.
#[derive(Debug)]
struct Lease {
    pool: Arc<Pool>,
    holder: Option<Client>,
    bytes: usize,
}

impl Lease {
    fn cover(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes > self.bytes {
            self.pool.take(self.holder, bytes - self.bytes)?;
            self.bytes = bytes;
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.pool.give_back(self.holder, self.bytes);
        }
    }
}

/// The bytes of a body, which hold their part of the budget.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    lease: Lease,
    /// Memory that whoever fills it needs as well, once it is large.
    beside: usize,
}

impl Buffer {
    /// Counts this much more once it is large.
    pub(super) fn with(mut self, beside: usize) -> Self {
        self.beside = beside;
        self
    }

    pub(super) fn is_large(&self) -> bool {
        self.bytes.len() > SMALL
    }

    /// Adds to the end.
    ///
    /// # Errors
    /// 413 beyond the largest body, 503 where the budget is used up.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), ApiError> {
        let length = self.bytes.len() + data.len();
        if length > MAX_BODY {
            return Err(too_large(MAX_BODY));
        }
        if length > SMALL {
            self.make_room(length)?;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    fn make_room(&mut self, length: usize) -> Result<(), ApiError> {
        let (counted, capacity) = match length {
            ..=MEDIUM => (length.next_power_of_two(), length.next_power_of_two()),
            _ => (length.next_multiple_of(STEP), RESERVED),
        };
        self.lease.cover(counted + self.beside)?;
        let more = capacity.saturating_sub(self.bytes.len());
        self.bytes.try_reserve_exact(more).map_err(|error| {
            tracing::error!(%error, "the operating system gives no memory for a body");
            full("the server has no memory for this body".into())
        })
    }

    /// Reads to the end of `reader`.
    ///
    /// # Errors
    /// Outside, what the reader says; inside, what [`Buffer::push`] does.
    pub(super) fn fill(&mut self, mut reader: impl Read) -> io::Result<Result<(), ApiError>> {
        let mut piece = [0; 16 * 1024];
        loop {
            let length = reader.read(&mut piece)?;
            if length == 0 {
                return Ok(Ok(()));
            }
            if let Err(error) = self.push(piece.get(..length).unwrap_or_default()) {
                return Ok(Err(error));
            }
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<Client> {
        Some(Client::Address([192, 0, 2, last].into()))
    }

    fn filled(budget: &MemoryBudget, origin: Origin, bytes: usize) -> Result<Buffer, String> {
        let mut buffer = budget.buffer(origin, 0);
        let piece = vec![b' '; 64 * 1024];
        for start in (0..bytes).step_by(piece.len()) {
            let length = piece.len().min(bytes - start);
            buffer
                .push(&piece[..length])
                .map_err(|error| format!("{error:?}"))?;
        }
        assert_eq!(buffer.len(), bytes);
        Ok(buffer)
    }

    #[test]
    fn clients_without_a_key_take_nothing_from_those_with_one() {
        let budget = MemoryBudget::default();
        let mut held = Vec::new();
        for last in 0..200 {
            held.extend(filled(&budget, Origin::keyless(address(last)), 8 * MIB));
        }
        assert_eq!(held.len(), 96 / 8);
        let refused = filled(&budget, Origin::keyless(address(201)), SMALL + 1).unwrap_err();
        assert!(refused.contains("as many large bodies as it can"), "{refused}");
        let small = filled(&budget, Origin::keyless(address(201)), SMALL).unwrap();
        let keyed = filled(&budget, Origin::keyed(address(1)), MAX_BODY).unwrap();
        drop((held, small, keyed));
        for pool in [&budget.keyed, &budget.keyless] {
            let used = pool.used.lock();
            assert_eq!((used.total, used.by_holder.len()), (0, 0));
        }
    }

    #[test]
    fn an_address_has_a_share_and_a_network_of_one_subscriber_is_one_address() {
        let budget = MemoryBudget::default();
        let from = |text: &str| Origin::keyless(Some(Client::Address(text.parse().unwrap())));
        let mut held = Vec::new();
        for host in 1..20 {
            held.extend(filled(&budget, from(&format!("2001:db8::{host}")), 8 * MIB));
        }
        assert_eq!(held.len(), 72 / 8);
        let refused = filled(&budget, from("2001:db8::ffff"), MIB).unwrap_err();
        assert!(
            refused.contains("this address") && refused.contains("72 MiB"),
            "{refused}"
        );
        filled(&budget, from("2001:db8:0:1::1"), MIB).unwrap();
        filled(&budget, from("192.0.2.1"), MIB).unwrap();
    }

    #[test]
    fn a_share_has_room_for_the_largest_body_compressed_and_not() {
        let budget = MemoryBudget::default();
        let origin = Origin::keyless(address(1));
        let compressed = filled(&budget, origin, MAX_BODY).unwrap();
        let mut plain = budget.buffer(origin, 0).with(8 * MIB);
        plain.push(&compressed).unwrap();
        assert!(plain.push(b" ").is_err());
    }

    #[test]
    fn what_is_counted_is_at_least_what_is_taken() {
        let budget = MemoryBudget::default();
        let origin = Origin::keyed(address(1));
        for bytes in [SMALL + 1, 100_000, MIB - 1, MIB, MIB + 1, 5 * MIB + 1, MAX_BODY] {
            let buffer = filled(&budget, origin, bytes).unwrap();
            let written = buffer.bytes.capacity().min(bytes.next_multiple_of(STEP));
            let taken = match bytes {
                ..=MEDIUM => buffer.bytes.capacity(),
                _ => written,
            };
            assert!(buffer.lease.bytes >= taken, "{bytes}: {buffer:?}");
        }
    }
}
