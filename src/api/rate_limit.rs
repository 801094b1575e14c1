//! Budgets: requests per clock hour and workspace; failed authentications, and requests of clients without a key, per
//! minute and address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use super::client_address::Client;
use crate::model::WorkspaceId;

const HOUR: u32 = 3600;
const MINUTE: u32 = 60;
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
    pub fn retry_after(&self, now: Moment) -> u64 {
        until(self.reset, now)
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

/// Now, by both clocks: the one that people set, and the one that only goes forward.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Unix seconds.
    pub unix: i64,
    /// For how long things last.
    pub steady: Instant,
}

impl Moment {
    /// What the clocks say.
    pub fn now() -> Self {
        Self {
            unix: jiff::Timestamp::now().as_second(),
            steady: Instant::now(),
        }
    }
}

/// Seconds until `reset`, at least 1.
fn until(reset: i64, now: Moment) -> u64 {
    u64::try_from(reset - now.unix).unwrap_or_default().max(1)
}

/// Counts in windows that start at whole multiples of their length since 1970 (UTC).
///
/// They follow each other forward only. A clock that is put back does not begin an earlier window: the running one goes
/// on, until it has lasted as long as a window does.
#[derive(Debug)]
struct FixedWindow<K> {
    seconds: u32,
    state: Mutex<Window<K>>,
}

#[derive(Debug)]
struct Window<K> {
    /// Its number since 1970.
    number: i64,
    begun: Instant,
    counts: HashMap<K, u64>,
}

impl<K: Eq + Hash> FixedWindow<K> {
    fn new(seconds: u32) -> Self {
        Self {
            seconds,
            state: Mutex::new(Window {
                number: 0,
                begun: Instant::now(),
                counts: HashMap::new(),
            }),
        }
    }

    /// Counts one more for `key`; the number in this window and the window's end.
    fn count(&self, key: K, now: Moment) -> (u64, i64) {
        let seconds = i64::from(self.seconds);
        let length = Duration::from_secs(self.seconds.into());
        let number = now.unix.div_euclid(seconds);
        let mut window = self.state.lock();
        let lasted = now.steady.saturating_duration_since(window.begun);
        let is_over = number > window.number || (number < window.number && lasted >= length);
        if is_over || window.counts.len() > MAX_ADDRESSES {
            *window = Window {
                number,
                begun: now.steady,
                counts: HashMap::new(),
            };
        }
        let ends = if number < window.number {
            now.unix + i64::try_from(length.saturating_sub(lasted).as_secs()).unwrap_or(seconds)
        } else {
            (number + 1) * seconds
        };
        let used = window.counts.entry(key).or_default();
        *used = used.saturating_add(1);
        (*used, ends)
    }
}

/// The budgets of all workspaces and addresses. One a server.
#[derive(Debug)]
pub struct RateLimiter {
    requests: FixedWindow<(WorkspaceId, Budget)>,
    failures: FixedWindow<Client>,
    clients: FixedWindow<Client>,
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
    /// Draws one request; `None` where there is no limit (0).
    pub fn draw(&self, workspace: WorkspaceId, budget: Budget, limit: u64, now: Moment) -> Option<Allowance> {
        let (used, reset) = self.requests.count((workspace, budget), now);
        (limit > 0).then(|| Allowance {
            limit,
            remaining: limit.saturating_sub(used),
            reset,
            exceeded: used > limit,
        })
    }

    /// Notes a failed authentication; the seconds to wait if the client has had too many.
    pub fn failed_authentication(&self, client: Client, now: Moment) -> Option<u64> {
        let (failures, reset) = self.failures.count(of_subscriber(client), now);
        (failures > MAX_FAILURES).then(|| until(reset, now))
    }

    /// Notes a request without a key; the seconds to wait if its client has had more than `limit` in this minute. 0 is
    /// no limit.
    pub fn client(&self, client: Client, limit: u64, now: Moment) -> Option<u64> {
        if limit == 0 {
            return None;
        }
        let (requests, reset) = self.clients.count(of_subscriber(client), now);
        (requests > limit).then(|| until(reset, now))
    }
}

/// Who has an address: with IPv6 everybody has at least 2^64 of them, which differ in the second half.
pub(super) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}

/// All clients that share a limit are one.
pub(super) fn of_subscriber(client: Client) -> Client {
    match client {
        Client::Address(address) => Client::Address(subscriber(address)),
        Client::Unknown => client,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    /// Both clocks go equally fast.
    fn at(unix: i64) -> Moment {
        set(unix, unix)
    }

    /// The clock on the wall says `unix`, `steady` seconds have gone by.
    fn set(unix: i64, steady: i64) -> Moment {
        let steady = *START + Duration::from_secs(steady.try_into().unwrap());
        Moment { unix, steady }
    }

    fn address(text: &str) -> Client {
        Client::Address(text.parse().unwrap())
    }

    #[test]
    fn a_window_is_a_clock_hour_and_budgets_are_apart() {
        let limiter = RateLimiter::default();
        let workspace = WorkspaceId::random();
        let draw = |budget, now| limiter.draw(workspace, budget, 2, at(now)).unwrap();
        assert_eq!(
            draw(Budget::Export, 6_400),
            Allowance {
                limit: 2,
                remaining: 1,
                reset: 7_200,
                exceeded: false
            }
        );
        assert!(!draw(Budget::Export, 6_400).exceeded);
        assert!(draw(Budget::Export, 7_199).exceeded);
        assert!(!draw(Budget::Recording, 7_199).exceeded);
        assert_eq!(draw(Budget::Export, 7_200).remaining, 1);
        assert_eq!(limiter.draw(workspace, Budget::Export, 0, at(7_200)), None);
    }

    #[test]
    fn a_clock_that_is_put_back_begins_no_window() {
        let limiter = RateLimiter::default();
        let workspace = WorkspaceId::random();
        let draw = |now| limiter.draw(workspace, Budget::Export, 2, now).unwrap();
        // To and fro over the hour: the second hour begins once.
        assert_eq!(draw(set(7_199, 0)).remaining, 1);
        assert_eq!(draw(set(7_200, 1)).remaining, 1);
        let back = draw(set(7_198, 2));
        assert_eq!((back.remaining, back.exceeded), (0, false));
        assert_eq!(back.reset, 7_198 + 3_599);
        assert!(draw(set(7_200, 3)).exceeded);
        assert!(draw(set(3_600, 4)).exceeded);
        assert_eq!(draw(set(10_800, 5)).remaining, 1);
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_stop_the_windows() {
        let limiter = RateLimiter::default();
        let workspace = WorkspaceId::random();
        let draw = |now| limiter.draw(workspace, Budget::Export, 1, now).unwrap();
        assert!(!draw(set(4_000_000_000, 0)).exceeded);
        let refused = draw(set(1_700_000_000, 10));
        assert!(refused.exceeded);
        assert_eq!(refused.retry_after(set(1_700_000_000, 10)), 3_590);
        assert!(!draw(set(1_700_003_590, 3_600)).exceeded);
        assert!(draw(set(1_700_003_591, 3_601)).exceeded);
        assert!(!draw(set(1_700_006_400, 6_410)).exceeded);
    }

    #[test]
    fn an_address_that_guesses_keys_is_told_to_wait() {
        let limiter = RateLimiter::default();
        let failed = |client, now| limiter.failed_authentication(client, at(now));
        let waits: Vec<_> = (0..101).map(|_| failed(address("192.0.2.1"), 120)).collect();
        assert_eq!(waits.iter().flatten().collect::<Vec<_>>(), [&60]);
        assert_eq!(failed(address("192.0.2.2"), 120), None);
        assert_eq!(failed(address("192.0.2.1"), 180), None);
    }

    #[test]
    fn a_client_may_send_as_often_as_the_limit_says_in_each_minute() {
        let limiter = RateLimiter::default();
        let client = |client, limit, now| limiter.client(client, limit, at(now));
        let waits: Vec<_> = (0..3).map(|_| client(address("192.0.2.1"), 2, 119)).collect();
        assert_eq!(waits, [None, None, Some(1)]);
        assert_eq!(client(address("192.0.2.2"), 2, 119), None);
        assert_eq!(client(address("192.0.2.1"), 2, 120), None);
        assert_eq!(client(address("192.0.2.1"), 0, 119), None);
    }

    #[test]
    fn a_network_of_one_subscriber_has_one_budget() {
        let limiter = RateLimiter::default();
        let draw = |client| limiter.client(client, 1, at(0)).is_none();
        assert!(draw(address("2001:db8:1:2::1")));
        assert!(!draw(address("2001:db8:1:2:ffff::9")));
        assert!(draw(address("2001:db8:1:3::1")));
        assert!(draw(address("192.0.2.1")));
        assert!(!draw(address("::ffff:192.0.2.1")));
        assert!(draw(address("192.0.2.2")));
    }

    #[test]
    fn clients_that_cannot_be_told_apart_share_a_budget_of_their_own() {
        let limiter = RateLimiter::default();
        let draw = |client| limiter.client(client, 1, at(0)).is_none();
        assert!(draw(Client::Unknown));
        assert!(!draw(Client::Unknown));
        assert!(draw(address("10.0.0.1")));
    }
}
