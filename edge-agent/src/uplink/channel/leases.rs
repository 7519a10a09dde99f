//! The leases that the centre has opened and not yet let lapse. Pure: time comes in.

use std::{collections::HashMap, time::Duration};

use control_protocol::LeaseId;
use device_drivers::clock::Mono;

/// The most leases at once; a hall has some dozens of cameras and four tiers of each.
pub(super) const MOST: usize = 1024;
/// The longest time a lease may stand unrenewed, whatever the centre asks for: a stream that nobody watches must end.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// What comes of opening a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// It is new: a stream is to be started.
    New,
    /// It stands already: said twice, it is renewed.
    Again,
    /// There are too many.
    TooMany,
}

/// The book of leases, each with the time it lapses.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<LeaseId, Mono>);

fn until(now: Mono, ttl_ms: u64) -> Mono {
    now + Duration::from_millis(ttl_ms).min(LONGEST)
}

impl Leases {
    /// Opens a lease.
    pub(super) fn open(&mut self, lease: LeaseId, ttl_ms: u64, now: Mono) -> Opened {
        let until = until(now, ttl_ms);
        if let Some(stands) = self.0.get_mut(&lease) {
            *stands = (*stands).max(until);
            return Opened::Again;
        }
        if self.0.len() >= MOST {
            return Opened::TooMany;
        }
        self.0.insert(lease, until);
        Opened::New
    }

    /// Renews leases; gives those that do not stand here. One that has lapsed does not stand, however late it is seen.
    pub(super) fn renew(&mut self, leases: Vec<LeaseId>, ttl_ms: u64, now: Mono) -> Vec<LeaseId> {
        let mut unknown = Vec::new();
        for lease in leases {
            match self.0.get_mut(&lease) {
                Some(stands) if *stands > now => *stands = until(now, ttl_ms),
                _ => unknown.push(lease),
            }
        }
        unknown
    }

    /// Takes a lease out; true if it stood.
    pub(super) fn release(&mut self, lease: &LeaseId) -> bool {
        self.0.remove(lease).is_some()
    }

    /// Takes out the leases that have lapsed.
    pub(super) fn lapse(&mut self, now: Mono) -> Vec<LeaseId> {
        let lapsed: Vec<LeaseId> =
            self.0.iter().filter(|(_, until)| **until <= now).map(|(lease, _)| lease.clone()).collect();
        for lease in &lapsed {
            self.0.remove(lease);
        }
        lapsed
    }

    /// When the next lease lapses.
    pub(super) fn due(&self) -> Option<Mono> {
        self.0.values().min().copied()
    }

    /// How many stand.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn id(n: u8) -> LeaseId {
        format!("L{n}").parse().unwrap()
    }

    #[test]
    fn a_lease_stands_while_renewed_and_lapses_by_itself() {
        let mut leases = Leases::default();
        assert_eq!(leases.open(id(1), 10_000, Mono(0)), Opened::New);
        assert_eq!(leases.open(id(1), 10_000, Mono(1)), Opened::Again);
        assert!(leases.renew(vec![id(1)], 10_000, Mono(9_000_000)).is_empty());
        assert!(leases.lapse(Mono(18_999_999)).is_empty());
        assert_eq!(leases.renew(vec![id(1), id(2)], 10_000, Mono(19_000_000)), [id(1), id(2)]);
        assert_eq!(leases.lapse(Mono(19_000_000)), [id(1)]);
        assert_eq!(leases.due(), None);
    }

    #[test]
    fn neither_their_number_nor_their_time_is_without_end() {
        let mut leases = Leases::default();
        for n in 0..MOST {
            assert_eq!(leases.open(format!("L{n}").parse().unwrap(), u64::MAX, Mono(0)), Opened::New);
        }
        assert_eq!(leases.open("more".parse().unwrap(), 1, Mono(0)), Opened::TooMany);
        assert_eq!(leases.lapse(Mono(0) + LONGEST).len(), MOST);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Open(u8, u64),
        Renew(Vec<u8>, u64),
        Release(u8),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u8..6, 0u64..30_000).prop_map(|(n, ttl)| Step::Open(n, ttl)),
            (proptest::collection::vec(0u8..6, 0..6), 0u64..30_000).prop_map(|(n, ttl)| Step::Renew(n, ttl)),
            (0u8..6).prop_map(Step::Release),
            (0u64..20_000).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// A stream runs exactly while its lease stands by the rule; every one that is started is ended once.
        #[test]
        fn streams_run_while_leases_stand(steps in proptest::collection::vec(step(), 1..120)) {
            let mut leases = Leases::default();
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            let (mut now, mut started, mut ended) = (0u64, 0usize, 0usize);
            for step in steps {
                match step {
                    Step::Open(n, ttl) => {
                        let opened = leases.open(id(n), ttl, Mono(now * 1000));
                        prop_assert_eq!(opened == Opened::Again, model.contains_key(&n));
                        started += usize::from(opened == Opened::New);
                        let until = model.entry(n).or_default();
                        *until = (*until).max(now + ttl);
                    }
                    Step::Renew(numbers, ttl) => {
                        let unknown = leases.renew(numbers.iter().map(|n| id(*n)).collect(), ttl, Mono(now * 1000));
                        let mut expected = Vec::new();
                        for n in numbers {
                            match model.get_mut(&n) {
                                Some(until) if *until > now => *until = now + ttl,
                                _ => expected.push(id(n)),
                            }
                        }
                        prop_assert_eq!(unknown, expected);
                    }
                    Step::Release(n) => {
                        let stood = leases.release(&id(n));
                        prop_assert_eq!(stood, model.remove(&n).is_some());
                        ended += usize::from(stood);
                    }
                    Step::Pass(millis) => {
                        now += millis;
                        let lapsed = leases.lapse(Mono(now * 1000)).len();
                        let before = model.len();
                        model.retain(|_, until| *until > now);
                        prop_assert_eq!(lapsed, before - model.len());
                        ended += lapsed;
                    }
                }
                prop_assert_eq!(leases.count(), model.len());
                prop_assert_eq!(leases.due(), model.values().min().map(|until| Mono(until * 1000)));
                prop_assert_eq!(started - ended, leases.count());
            }
        }
    }
}
