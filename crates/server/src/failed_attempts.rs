//! How often one client may present a credential that turns out invalid before it is told to wait.
//!
//! Asked after a credential was found invalid and never for a valid one, so nobody can lock the owner of a token out by guessing
//! from the same address. A client is the peer of the connection (an IPv6 client its /64), whatever forwarding headers say: those
//! are the client's own words. Not here: the answer (`http/error.rs`), the record of it (`token_events`).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime::Clock;

/// As many clients are remembered; of more, the one that comes closest to a clean slate is forgotten.
const CLIENTS_MAX: usize = 16 * 1024;

/// What the number of failures is given for; a client that was silent for so long has all of them again.
const PERIOD: Duration = Duration::from_secs(60);

/// A client, as far as it is worth telling apart from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Network {
    V4([u8; 4]),
    /// The first 64 bits: whoever has one address of these has all.
    V6([u16; 4]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(octets) => IpAddr::from(*octets).fmt(formatter),
            Self::V6([first, second, third, fourth]) => {
                let address = Ipv6Addr::new(*first, *second, *third, *fourth, 0, 0, 0, 0);
                write!(formatter, "{address}/64")
            }
        }
    }
}

/// The failures of all clients of late.
#[derive(Debug)]
pub(crate) struct FailedAttempts {
    clock: Arc<dyn Clock>,
    /// What one failure costs; `None`: nobody counts.
    cost_ns: Option<u64>,
    clients: Mutex<Clients>,
}

/// For each client that has failed of late, the moment at which its slate is clean again.
#[derive(Debug, Default)]
struct Clients {
    clean_at_ns: HashMap<Network, u64>,
    by_time: BTreeSet<(u64, Network)>,
}

impl FailedAttempts {
    /// A client may fail `per_minute` times at once, and as often in each minute from then on; 0 is as often as it likes.
    pub(crate) fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        let period_ns = in_ns(PERIOD);
        Self {
            clock,
            cost_ns: period_ns.checked_div(u64::from(per_minute)),
            clients: Mutex::default(),
        }
    }

    /// Counts a failure. `None`: it is one of those that are free; else how long the client should wait before the next.
    pub(crate) fn refuse(&self, address: IpAddr) -> Option<Duration> {
        let cost_ns = self.cost_ns?;
        let now_ns = in_ns(self.clock.monotonic());
        let network = Network::from(address);
        let mut clients = self.clients.lock();
        let clean_at_ns = clients.clean_at(network).unwrap_or(0).max(now_ns) + cost_ns;
        let limit_ns = now_ns + in_ns(PERIOD);
        if clean_at_ns > limit_ns {
            return Some(Duration::from_nanos(clean_at_ns - limit_ns));
        }
        clients.set(network, clean_at_ns, now_ns);
        None
    }
}

impl Clients {
    fn clean_at(&self, network: Network) -> Option<u64> {
        self.clean_at_ns.get(&network).copied()
    }

    fn set(&mut self, network: Network, clean_at_ns: u64, now_ns: u64) {
        if let Some(before_ns) = self.clean_at_ns.insert(network, clean_at_ns) {
            self.by_time.remove(&(before_ns, network));
        }
        self.by_time.insert((clean_at_ns, network));
        // Whose slate is clean needs no memory, and two go for each that comes.
        for _ in 0..2 {
            let is_over = self.clean_at_ns.len() > CLIENTS_MAX;
            match self.by_time.first().copied() {
                Some((at_ns, forgotten)) if is_over || at_ns <= now_ns => {
                    self.by_time.pop_first();
                    self.clean_at_ns.remove(&forgotten);
                }
                _ => return,
            }
        }
    }
}

fn in_ns(duration: Duration) -> u64 {
    // Half of what fits, five centuries on each side: sums of two need no check.
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .min(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use runtime::clock::SimulatedClock;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn attempts(per_minute: u32) -> (FailedAttempts, Arc<SimulatedClock>) {
        let clock = Arc::new(SimulatedClock::at_ns(1_000_000_000));
        let attempts = FailedAttempts::new(per_minute, Arc::clone(&clock) as Arc<dyn Clock>);
        (attempts, clock)
    }

    #[test]
    fn a_burst_is_free_and_then_there_is_a_pace() {
        let (attempts, clock) = attempts(600);
        let guesser = address("192.0.2.1");
        for nth in 0..600 {
            assert_eq!(attempts.refuse(guesser), None, "{nth}");
        }
        let wait = attempts.refuse(guesser).expect("enough is enough");
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(attempts.refuse(address("192.0.2.2")), None, "another one");
        clock.advance(Duration::from_millis(99));
        assert_eq!(attempts.refuse(guesser), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(attempts.refuse(guesser), None);
        assert!(attempts.refuse(guesser).is_some());
        clock.advance(Duration::from_secs(3_600));
        for _ in 0..600 {
            assert_eq!(attempts.refuse(guesser), None);
        }
        assert!(attempts.refuse(guesser).is_some(), "no more than a burst");
    }

    #[test]
    fn zero_never_refuses() {
        let (attempts, _clock) = attempts(0);
        for _ in 0..10_000 {
            assert_eq!(attempts.refuse(address("192.0.2.1")), None);
        }
    }

    #[test]
    fn one_client_has_a_whole_network_of_ipv6() {
        let (attempts, _clock) = attempts(1);
        assert_eq!(attempts.refuse(address("2001:db8:1:2::1")), None);
        assert!(attempts.refuse(address("2001:db8:1:2:ffff::9")).is_some());
        assert_eq!(attempts.refuse(address("2001:db8:1:3::1")), None);
        assert_eq!(attempts.refuse(address("192.0.2.7")), None);
        let mapped = address("::ffff:192.0.2.7");
        assert!(attempts.refuse(mapped).is_some(), "the same client");
        let shown = |text| Network::from(address(text)).to_string();
        assert_eq!(shown("2001:db8:1:2:3::1"), "2001:db8:1:2::/64");
        assert_eq!(shown("::ffff:192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_most_harmless() {
        let (attempts, clock) = attempts(2);
        let guesser = address("192.0.2.1");
        assert_eq!(attempts.refuse(guesser), None);
        assert_eq!(attempts.refuse(guesser), None);
        for number in 0..CLIENTS_MAX as u32 + 100 {
            let passer_by = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
            assert_eq!(attempts.refuse(passer_by), None);
        }
        let known = || {
            let clients = attempts.clients.lock();
            assert_eq!(clients.clean_at_ns.len(), clients.by_time.len());
            clients.by_time.len()
        };
        assert_eq!(known(), CLIENTS_MAX);
        assert!(attempts.refuse(guesser).is_some());
        clock.advance(PERIOD);
        let before = known();
        assert_eq!(attempts.refuse(guesser), None);
        assert!(known() < before, "clean slates go");
    }
}
