//! Hysteresis of one fault: it stands once the evidence has lasted, and is over once its absence has. Pure.

use std::time::Duration;

use device_drivers::clock::Mono;

/// The least looks that make up their mind, however far apart they are: one bad picture is none.
const LEAST_LOOKS: u32 = 3;

/// What one look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The fault is there.
    Present,
    /// It is not.
    Absent,
    /// Nothing can be told.
    Unknown,
}

impl From<bool> for Evidence {
    fn from(present: bool) -> Self {
        if present { Self::Present } else { Self::Absent }
    }
}

/// A fault's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    standing: bool,
    /// Since when looks have said otherwise, and how many.
    otherwise: Option<(Mono, u32)>,
}

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turned {
    /// The fault stands now.
    pub standing: bool,
    /// Since when the looks have said so.
    pub since: Mono,
}

impl Gate {
    /// A gate that goes on from what was told before a restart.
    pub fn restored(standing: bool) -> Self {
        Self { standing, otherwise: None }
    }

    /// Whether the fault stands.
    pub fn standing(&self) -> bool {
        self.standing
    }

    /// Takes a look. What cannot be told neither counts nor starts over.
    pub fn take(&mut self, evidence: Evidence, at: Mono, raise: Duration, clear: Duration) -> Option<Turned> {
        let says = match evidence {
            Evidence::Unknown => return None,
            Evidence::Present => true,
            Evidence::Absent => false,
        };
        if says == self.standing {
            self.otherwise = None;
            return None;
        }
        let (since, looks) = self.otherwise.map_or((at, 1), |(since, looks)| (since, looks + 1));
        self.otherwise = Some((since, looks));
        let wait = if says { raise } else { clear };
        if looks < LEAST_LOOKS || at.since(since) < wait {
            return None;
        }
        self.standing = says;
        self.otherwise = None;
        Some(Turned { standing: says, since })
    }

    /// The picture was gone: looks before do not add to looks after.
    pub fn interrupt(&mut self) {
        self.otherwise = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RAISE: Duration = Duration::from_secs(10);
    const CLEAR: Duration = Duration::from_secs(20);

    #[test]
    fn one_bad_picture_is_no_fault() {
        let mut gate = Gate::default();
        assert_eq!(gate.take(Evidence::Present, Mono(0), RAISE, CLEAR), None);
        assert_eq!(gate.take(Evidence::Present, Mono(60_000_000), RAISE, CLEAR), None);
        let turned = gate.take(Evidence::Present, Mono(61_000_000), RAISE, CLEAR);
        assert_eq!(turned, Some(Turned { standing: true, since: Mono(0) }));
    }

    proptest! {
        /// Changes alternate; none comes before its time or its looks; a look that says as before starts over; what cannot
        /// be told changes nothing.
        #[test]
        fn a_change_needs_lasting_evidence(looks in proptest::collection::vec((0u8..4, 0u64..9_000_000), 1..200)) {
            let mut gate = Gate::default();
            let (mut now, mut run): (u64, Vec<u64>) = (0, Vec::new());
            for (look, pause) in looks {
                now += pause;
                if look == 3 {
                    gate.interrupt();
                    run.clear();
                    continue;
                }
                let evidence = [Evidence::Present, Evidence::Absent, Evidence::Unknown][usize::from(look)];
                let before = gate.standing();
                let turned = gate.take(evidence, Mono(now), RAISE, CLEAR);
                let against = match evidence {
                    Evidence::Unknown => None,
                    Evidence::Present => Some(!before),
                    Evidence::Absent => Some(before),
                };
                match against {
                    None => prop_assert!(turned.is_none()),
                    Some(false) => { run.clear(); prop_assert!(turned.is_none()); }
                    Some(true) => {
                        run.push(now);
                        let wait = if before { CLEAR } else { RAISE };
                        let due = run.len() >= 3 && now - run[0] >= wait.as_micros() as u64;
                        prop_assert_eq!(turned.is_some(), due);
                        if let Some(turned) = turned {
                            prop_assert_eq!(turned, Turned { standing: !before, since: Mono(run[0]) });
                            run.clear();
                        }
                    }
                }
                prop_assert_eq!(gate.standing(), before != turned.is_some());
            }
        }
    }
}
