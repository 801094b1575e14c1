//! Budgets: requests per clock hour and workspace; failed authentications, and requests of clients without a key, per
//! minute and address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use crate::model::WorkspaceId;

const HOUR: i64 = 3600;
const MINUTE: i64 = 60;
/// Failed authentications that an address has in a minute before it is told to wait.
const MAX_FAILURES: u64 = 100;
/// Addresses that are remembered; when there are more, the minute starts anew for all.
const MAX_ADDRESSES: usize = 100_000;

/// Which of a workspace's budgets a request draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Budget {
    /// All export endpoints share it.
    Export,
    /// All recording endpoints share it.
    Recording,
}

/// What is left of a budget after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in the window; more than 0.
    pub limit: u64,
    /// Requests left in it.
    pub remaining: u64,
    /// Unix seconds at which the window ends.
    pub reset: i64,
    /// Whether this request was one too many.
    pub exceeded: bool,
}

impl Allowance {
    /// Seconds until the window ends, at least 1.
    pub fn retry_after(&self, now: i64) -> u64 {
        u64::try_from(self.reset - now).unwrap_or_default().max(1)
    }

    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("x-ratelimit-limit"), self.limit.into());
        headers.insert(
            HeaderName::from_static("x-ratelimit-remaining"),
            self.remaining.into(),
        );
        headers.insert(HeaderName::from_static("x-ratelimit-reset"), self.reset.into());
    }
}

/// Counts in windows that start at whole multiples of their length since 1970 (UTC).
#[derive(Debug)]
struct FixedWindow<K> {
    seconds: i64,
    state: Mutex<(i64, HashMap<K, u64>)>,
}

impl<K: Eq + Hash> FixedWindow<K> {
    fn new(seconds: i64) -> Self {
        Self {
            seconds,
            state: Mutex::new((0, HashMap::new())),
        }
    }

    /// Counts one more for `key`; the number in this window and the window's end.
    fn count(&self, key: K, now: i64, add: u64) -> (u64, i64) {
        let window = now.div_euclid(self.seconds);
        let mut state = self.state.lock();
        if state.0 != window || state.1.len() > MAX_ADDRESSES {
            *state = (window, HashMap::new());
        }
        let used = state.1.entry(key).or_default();
        *used = used.saturating_add(add);
        (*used, (window + 1) * self.seconds)
    }
}

/// The budgets of all workspaces and addresses. One a server.
#[derive(Debug)]
pub struct RateLimiter {
    requests: FixedWindow<(WorkspaceId, Budget)>,
    failures: FixedWindow<IpAddr>,
    clients: FixedWindow<IpAddr>,
}

impl Default for RateLimiter {
    fn default() -> Self {
        Self {
            requests: FixedWindow::new(HOUR),
            failures: FixedWindow::new(MINUTE),
            clients: FixedWindow::new(MINUTE),
        }
    }
}

impl RateLimiter {
    /// Draws one request; `None` where there is no limit (0). `now` is Unix seconds.
    pub fn draw(&self, workspace: WorkspaceId, budget: Budget, limit: u64, now: i64) -> Option<Allowance> {
        let (used, reset) = self.requests.count((workspace, budget), now, 1);
        (limit > 0).then(|| Allowance {
            limit,
            remaining: limit.saturating_sub(used),
            reset,
            exceeded: used > limit,
        })
    }

    /// Notes a failed authentication; the seconds to wait if the address has had too many.
    pub fn failed_authentication(&self, address: IpAddr, now: i64) -> Option<u64> {
        let (failures, reset) = self.failures.count(subscriber(address), now, 1);
        (failures > MAX_FAILURES).then(|| u64::try_from(reset - now).unwrap_or_default().max(1))
    }

    /// Notes a request of a client without a key; the seconds to wait if its address has had more than `limit` in this
    /// minute. 0 is no limit.
    pub fn client(&self, address: IpAddr, limit: u64, now: i64) -> Option<u64> {
        if limit == 0 {
            return None;
        }
        let (requests, reset) = self.clients.count(subscriber(address), now, 1);
        (requests > limit).then(|| u64::try_from(reset - now).unwrap_or_default().max(1))
    }
}

/// Who has an address: with IPv6 everybody has at least 2^64 of them, which differ in the second half.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_clock_hour_and_budgets_are_apart() {
        let limiter = RateLimiter::default();
        let workspace = WorkspaceId::random();
        let at = 1_700_000_000;
        let draw = |budget, now| limiter.draw(workspace, budget, 2, now).unwrap();
        assert_eq!(
            draw(Budget::Export, at),
            Allowance {
                limit: 2,
                remaining: 1,
                reset: 1_700_002_800,
                exceeded: false
            }
        );
        assert!(!draw(Budget::Export, at).exceeded);
        assert!(draw(Budget::Export, 1_700_002_799).exceeded);
        assert!(!draw(Budget::Recording, at).exceeded);
        assert_eq!(draw(Budget::Export, 1_700_002_800).remaining, 1);
        assert_eq!(limiter.draw(workspace, Budget::Export, 0, at), None);
    }

    #[test]
    fn an_address_that_guesses_keys_is_told_to_wait() {
        let limiter = RateLimiter::default();
        let address = "192.0.2.1".parse().unwrap();
        let waits: Vec<_> = (0..101)
            .map(|_| limiter.failed_authentication(address, 120))
            .collect();
        assert_eq!(waits.iter().flatten().collect::<Vec<_>>(), [&60]);
        assert_eq!(
            limiter.failed_authentication("192.0.2.2".parse().unwrap(), 120),
            None
        );
        assert_eq!(limiter.failed_authentication(address, 180), None);
    }

    #[test]
    fn a_client_may_send_as_often_as_the_limit_says_in_each_minute() {
        let limiter = RateLimiter::default();
        let address = "192.0.2.1".parse().unwrap();
        let waits: Vec<_> = (0..3).map(|_| limiter.client(address, 2, 119)).collect();
        assert_eq!(waits, [None, None, Some(1)]);
        assert_eq!(limiter.client("192.0.2.2".parse().unwrap(), 2, 119), None);
        assert_eq!(limiter.client(address, 2, 120), None);
        assert_eq!(limiter.client(address, 0, 119), None);
    }

    #[test]
    fn a_network_of_one_subscriber_has_one_budget() {
        let limiter = RateLimiter::default();
        let draw = |address: &str| limiter.client(address.parse().unwrap(), 1, 0).is_none();
        assert!(draw("2001:db8:1:2::1"));
        assert!(!draw("2001:db8:1:2:ffff::9"));
        assert!(draw("2001:db8:1:3::1"));
        assert!(draw("192.0.2.1"));
        assert!(!draw("::ffff:192.0.2.1"));
        assert!(draw("192.0.2.2"));
    }
}
