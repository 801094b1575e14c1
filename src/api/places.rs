//! Places for connections: how many an address may have at one time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipnet::IpNet;
use parking_lot::Mutex;

use super::rate_limit::subscriber;

/// Addresses without a connection are forgotten when so many are known.
const FORGET_AT: usize = 1_024;

/// The places of a listener.
#[derive(Debug)]
pub(super) struct Places {
    /// Of one address; 0 is no limit.
    limit: usize,
    /// Proxies, which bring the connections of many.
    exempt: Vec<IpNet>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    by_address: HashMap<IpAddr, Arc<AtomicUsize>>,
    forget_at: usize,
}

impl Places {
    pub(super) fn new(limit: usize, exempt: Vec<IpNet>) -> Self {
        Self {
            limit,
            exempt,
            known: Mutex::new(Known {
                by_address: HashMap::new(),
                forget_at: FORGET_AT,
            }),
        }
    }

    /// A connection of this address; `None` where it has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<(AddressPlaces, Place)> {
        let address = address.to_canonical();
        if self.limit == 0 || self.exempt.iter().any(|network| network.contains(&address)) {
            let unlimited = AddressPlaces {
                taken: Arc::default(),
                limit: usize::MAX,
            };
            let place = unlimited.take()?;
            return Some((unlimited, place));
        }
        let mut known = self.known.lock();
        if known.by_address.len() >= known.forget_at {
            known
                .by_address
                .retain(|_, taken| taken.load(Ordering::Relaxed) > 0);
            known.forget_at = (2 * known.by_address.len()).max(FORGET_AT);
        }
        let places = AddressPlaces {
            taken: known.by_address.entry(subscriber(address)).or_default().clone(),
            limit: self.limit,
        };
        let place = places.take()?;
        Some((places, place))
    }
}

/// The places of one address.
#[derive(Debug, Clone)]
pub(super) struct AddressPlaces {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

impl AddressPlaces {
    /// One more, until it is dropped.
    pub(super) fn take(&self) -> Option<Place> {
        let place = Place(self.taken.clone());
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        (before < self.limit).then_some(place)
    }
}

/// A connection's place, or that of a request beside others on one connection.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(places: &Places, address: &str) -> Option<(AddressPlaces, Place)> {
        places.enter(address.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_and_gets_them_back() {
        let places = Places::new(2, Vec::new());
        let (of_address, first) = enter(&places, "192.0.2.1").unwrap();
        let _request = of_address.take().unwrap();
        assert!(of_address.take().is_none());
        assert!(enter(&places, "::ffff:192.0.2.1").is_none());
        assert!(enter(&places, "192.0.2.2").is_some());
        drop(first);
        assert!(enter(&places, "192.0.2.1").is_some());
    }

    #[test]
    fn a_network_of_one_subscriber_is_one_address() {
        let places = Places::new(1, Vec::new());
        let _held = enter(&places, "2001:db8::1").unwrap();
        assert!(enter(&places, "2001:db8::2").is_none());
        assert!(enter(&places, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn proxies_have_no_limit_and_zero_is_none() {
        let proxies = Places::new(1, vec!["10.0.0.0/8".parse().unwrap()]);
        let held: Vec<_> = (0..10).filter_map(|_| enter(&proxies, "10.1.2.3")).collect();
        assert_eq!(held.len(), 10);
        let unlimited = Places::new(0, Vec::new());
        let held: Vec<_> = (0..10).filter_map(|_| enter(&unlimited, "192.0.2.1")).collect();
        assert_eq!(held.len(), 10);
    }

    #[test]
    fn who_left_is_forgotten() {
        let places = Places::new(1, Vec::new());
        let _held = enter(&places, "192.0.2.1").unwrap();
        for number in 0..10_000_u32 {
            let address = IpAddr::from((number | 0x0a00_0000).to_be_bytes());
            assert!(places.enter(address).is_some());
        }
        assert!(places.known.lock().by_address.len() <= FORGET_AT);
        assert!(enter(&places, "192.0.2.1").is_none());
    }
}
