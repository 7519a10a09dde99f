//! The driver against the simulated module, over a pty.

use jiff::tz::TimeZone;
use tokio::task::JoinHandle;

use super::*;
use crate::{
    clock::{SystemLocal, SystemMonotonic},
    port::{SerialConfig, SerialPort},
    simulator::{
        fingerprint::{Fault, FingerprintModule, ModuleSetup},
        pty::Pty,
    },
};

const BOTH: [Family; 2] = [Family::Ef01, Family::Aa55];

struct Rig {
    module: FingerprintModule,
    events: mpsc::Receiver<DriverEvent>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    driving: JoinHandle<()>,
    serving: JoinHandle<()>,
}

fn rig(setup: ModuleSetup, change: impl FnOnce(&mut ModuleConfig)) -> Rig {
    let module = FingerprintModule::new(setup);
    for slot in 0..5 {
        module.enrol(slot, 100 + u32::from(slot));
    }
    let mut pty = Pty::open(None).unwrap();
    let path = pty.path().to_owned();
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (module, cancel) = (module.clone(), cancel.clone());
        async move {
            module.serve(&mut pty, &cancel).await.unwrap();
        }
    });
    let slots = (0..4).map(|slot| Slot { slot, employee: (1001 + slot).to_string() }).collect();
    let mut config = ModuleConfig::new("h-A02-attendance".into(), setup.family, slots);
    config.look_ms = 100;
    change(&mut config);
    let port = Box::new(SerialPort::new(SerialConfig::new(path, 57600)));
    let driver = ModuleDriver::new(config, port, Arc::new(SystemLocal(TimeZone::UTC)))
        .patience(Duration::from_millis(300));
    let counters = driver.counters();
    let (sender, events) = mpsc::channel(4);
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.child_token()));
    Rig { module, events, counters, cancel, driving, serving }
}

impl Rig {
    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("in time")
            .expect("runs")
    }

    async fn health(&mut self, wanted: impl Fn(&Health) -> bool) {
        loop {
            if let DriverEvent::Health { health, .. } = self.event().await
                && wanted(&health)
            {
                return;
            }
        }
    }

    async fn reading(&mut self) -> (String, u8, u8, Receipt) {
        loop {
            if let DriverEvent::Reading(Reading { fact, receipt, .. }) = self.event().await {
                let Fact::Punch { employee, verify, state, live: true, .. } = fact else {
                    panic!("{fact:?}")
                };
                return (employee, verify, state, receipt);
            }
        }
    }

    /// Lays a finger on, waits for the punch, lifts it and waits until that was seen.
    async fn punch(&mut self, finger: u32) -> (String, u8, u8) {
        self.module.lay(Some(finger));
        let (employee, verify, state, receipt) = self.reading().await;
        receipt.durable();
        self.lift().await;
        (employee, verify, state)
    }

    async fn lift(&mut self) {
        self.module.lay(None);
        self.looks(3).await;
    }

    /// Waits until the module was asked so many times more.
    async fn looks(&self, count: u64) {
        let until = self.module.asked() + count;
        tokio::time::timeout(Duration::from_secs(20), async {
            while self.module.asked() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the driver looks");
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.driving.await.unwrap();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_finger_is_one_punch_until_it_is_lifted() {
    for family in BOTH {
        let mut rig = rig(ModuleSetup::new(family), |c| c.state = 1);
        rig.health(|h| *h == Health::Up).await;
        assert_eq!(rig.punch(102).await, ("1003".to_owned(), 1, 1), "{family:?}");
        rig.module.lay(Some(100));
        let (employee, .., receipt) = rig.reading().await;
        receipt.durable();
        assert_eq!(employee, "1001");
        // It stays on the glass: looked at, and not identified again.
        let searches = rig.module.identified();
        rig.looks(5).await;
        assert_eq!((rig.module.identified(), rig.counters.good()), (searches, 2));
        rig.lift().await;
        assert_eq!(rig.punch(100).await.0, "1001");
        assert_eq!(rig.module.light(), family == Family::Aa55);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_finger_that_nobody_has_is_no_punch() {
    for family in BOTH {
        let mut rig = rig(ModuleSetup::new(family), |_| {});
        rig.health(|h| *h == Health::Up).await;
        // Unknown to the module, then known to it in a slot that no employee has.
        for (finger, unmatched) in [(999, 1), (104, 2)] {
            rig.module.lay(Some(finger));
            tokio::time::timeout(Duration::from_secs(20), async {
                while rig.counters.unmatched() < unmatched {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await
            .unwrap();
            rig.lift().await;
        }
        assert_eq!(rig.punch(101).await.0, "1002");
        assert_eq!((rig.counters.good(), rig.counters.unmatched()), (1, 2));
        rig.stop().await;
    }
}

#[tokio::test]
async fn faults_cost_a_look_and_name_nobody_wrongly() {
    for family in BOTH {
        let mut rig = rig(ModuleSetup::new(family), |_| {});
        rig.health(|h| *h == Health::Up).await;
        let faults =
            [Fault::BadChecksum, Fault::Duplicate, Fault::Drop, Fault::Split, Fault::Noise, Fault::Messy];
        for (n, fault) in faults.into_iter().cycle().take(18).enumerate() {
            let finger = n as u32 % 4;
            // At any step of the sequence.
            if n % 3 > 0 {
                rig.module.lay(Some(100 + finger));
            }
            rig.module.fault(fault);
            assert_eq!(rig.punch(100 + finger).await.0, (1001 + finger).to_string(), "{family:?} {fault:?}");
        }
        assert_eq!((rig.counters.good(), rig.counters.unmatched()), (18, 0));
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_silent_module_is_down_and_comes_back() {
    for family in BOTH {
        let mut rig = rig(ModuleSetup::new(family), |_| {});
        rig.health(|h| *h == Health::Up).await;
        rig.module.fault(Fault::Silence(true));
        rig.health(|h| matches!(h, Health::Down { why } if why.contains("does not answer"))).await;
        rig.module.fault(Fault::Silence(false));
        rig.health(|h| *h == Health::Up).await;
        assert_eq!(rig.punch(103).await.0, "1004");
        rig.stop().await;
    }
}

#[tokio::test]
async fn many_unreadable_answers_are_a_degraded_line() {
    let mut rig = rig(ModuleSetup::new(Family::Ef01), |_| {});
    rig.health(|h| *h == Health::Up).await;
    for _ in 0..8 {
        rig.module.fault(Fault::Noise);
    }
    rig.health(|h| matches!(h, Health::Degraded { bad_frames_per_minute: 6.. })).await;
    assert_eq!(rig.punch(103).await.0, "1004");
    rig.stop().await;
}

#[tokio::test]
async fn what_was_not_stored_is_told_again() {
    let mut rig = rig(ModuleSetup::new(Family::Ef01), |_| {});
    rig.module.lay(Some(101));
    let (first, .., receipt) = rig.reading().await;
    drop(receipt);
    let (again, .., receipt) = rig.reading().await;
    receipt.durable();
    assert_eq!((first, rig.counters.good()), (again, 1));
    rig.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_said() {
    let setup = ModuleSetup { password: 7, ..ModuleSetup::new(Family::Ef01) };
    let mut rig = rig(setup, |_| {});
    rig.health(|h| matches!(h, Health::Down { why } if why.contains("password"))).await;
    rig.stop().await;
}
