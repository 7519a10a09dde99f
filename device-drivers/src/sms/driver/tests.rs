//! The driver against the simulated modem, over a pipe.

use super::*;
use crate::{
    clock::{Mono, SystemMonotonic},
    port::HandedPort,
    simulator::modem::{Fault, SimulatedModem},
    sms::parts::TooLong,
};

const LONG: Duration = Duration::from_secs(20);

struct Rig {
    modem: SimulatedModem,
    desk: SmsDesk,
    events: mpsc::Receiver<SmsEvent>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn number() -> PhoneNumber {
    "+8613800138000".parse().unwrap()
}

impl Rig {
    /// A driver that can open its port `times` times.
    fn start(modem: SimulatedModem, times: usize) -> Self {
        let cancel = CancellationToken::new();
        let (near, mut far): (Vec<_>, Vec<_>) = (0..times).map(|_| tokio::io::duplex(4096)).unzip();
        let near = near.into_iter().map(|near| Box::new(near) as Stream);
        let config =
            SmsConfig { pace_ms: 1, retry_ms: vec![10, 10], wait_s: 3, ..SmsConfig::new("M01".into()) };
        let (driver, desk) = SmsDriver::new(config, Box::new(HandedPort::new(near)));
        let timeouts = Timeouts { command: Duration::from_millis(400), send: Duration::from_millis(600) };
        let driver = driver.timeouts(timeouts);
        let counters = driver.counters();
        let (sender, events) = mpsc::channel(64);
        tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
        tokio::spawn({
            let (modem, cancel) = (modem.clone(), cancel.clone());
            async move {
                for line in &mut far {
                    let _ = modem.serve(line, &cancel).await;
                    // A line that is cut is closed at this end.
                    *line = tokio::io::duplex(1).0;
                }
            }
        });
        Self { modem, desk, events, counters, cancel }
    }

    async fn event(&mut self) -> SmsEvent {
        tokio::time::timeout(LONG, self.events.recv()).await.expect("an event in time").expect("driver runs")
    }

    async fn until_health(&mut self, wanted: impl Fn(&Health) -> bool) -> Health {
        loop {
            if let SmsEvent::Health { health, .. } = self.event().await
                && wanted(&health)
            {
                return health;
            }
        }
    }

    async fn up(&mut self) {
        self.until_health(|health| *health == Health::Up).await;
    }

    async fn received(&mut self) -> Received {
        loop {
            if let SmsEvent::Received(received) = self.event().await {
                return received;
            }
        }
    }

    async fn delivery(&mut self) -> Delivery {
        loop {
            if let SmsEvent::Delivery(delivery) = self.event().await {
                return delivery;
            }
        }
    }

    async fn send(&self, text: &str) -> Result<Sent, SendError> {
        let sending = self.desk.send(number(), text.to_owned());
        tokio::time::timeout(LONG, sending).await.expect("an answer in time")
    }

    async fn until_stored(&self, count: usize) {
        let waiting = async {
            while self.modem.stored() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, waiting).await.expect("messages are taken off the card");
    }
}

#[tokio::test]
async fn short_and_long_texts_go_out_and_their_arrival_is_told() {
    let mut rig = Rig::start(SimulatedModem::new(), 1);
    rig.up().await;
    let status = rig.desk.status();
    assert!(status.connected && status.sim == SimState::Ready, "{status:?}");
    assert_eq!((status.model.as_str(), status.signal_dbm), ("HALLWATCH SIMULATED", Some(-73)));
    assert_eq!(status.registration, Registration::Registered { roaming: false });
    let short = rig.send("请对本次服务进行评价").await.unwrap();
    assert_eq!(rig.delivery().await, Delivery { id: short.id, arrived: true });
    let text = "评价，".repeat(60);
    let long = rig.send(&text).await.unwrap();
    assert_eq!(long.parts, 3);
    assert_eq!(rig.delivery().await, Delivery { id: long.id, arrived: true });
    let sent = rig.modem.sent();
    assert_eq!(sent[0].message.content.text(), "请对本次服务进行评价");
    assert_eq!(sent[1..].iter().map(|s| s.message.content.text()).collect::<String>(), text);
    rig.modem.fault(Fault::Unreachable);
    let lost = rig.send("x").await.unwrap();
    assert_eq!(rig.delivery().await, Delivery { id: lost.id, arrived: false });
}

#[tokio::test]
async fn what_comes_in_stays_on_the_card_until_it_is_on_disk() {
    let modem = SimulatedModem::new();
    let at: jiff::Timestamp = "2026-11-22T09:00:00+08:00".parse().unwrap();
    // Before the driver is there.
    modem.receive(&number(), "1", at);
    let mut rig = Rig::start(modem, 1);
    let first = rig.received().await;
    assert_eq!((first.text.as_str(), first.from, first.sent), ("1", number(), Some(at)));
    let text = "很满意😀".repeat(40);
    rig.modem.receive(&number(), &text, at);
    let second = rig.received().await;
    assert_eq!((second.text.as_str(), second.complete), (text.as_str(), true));
    assert_eq!(rig.modem.stored(), 4);
    second.receipt.durable();
    rig.until_stored(1).await;
    first.receipt.durable();
    rig.until_stored(0).await;
}

#[tokio::test]
async fn one_that_was_not_stored_is_read_again() {
    let modem = SimulatedModem::new();
    modem.receive(&number(), "5", jiff::Timestamp::UNIX_EPOCH);
    let mut rig = Rig::start(modem, 2);
    drop(rig.received().await);
    // The storage is looked at again at the latest when the modem comes back.
    rig.modem.fault(Fault::Disconnect);
    let again = rig.received().await;
    assert_eq!(again.text, "5");
    again.receipt.durable();
    rig.until_stored(0).await;
}

#[tokio::test]
async fn split_answers_with_calls_and_noise_in_between() {
    let modem = SimulatedModem::new();
    modem.fault(Fault::Split(3, Duration::from_millis(1)));
    modem.fault(Fault::Interrupt);
    modem.fault(Fault::Noise(vec![0, 0xFF, 0x80, b'\r', 0x55, 0xAA, b'\n']));
    modem.receive(&number(), "满意", jiff::Timestamp::UNIX_EPOCH);
    let mut rig = Rig::start(modem, 1);
    let received = rig.received().await;
    assert_eq!(received.text, "满意");
    received.receipt.durable();
    rig.send("好").await.unwrap();
    rig.until_stored(0).await;
    assert_eq!(rig.modem.sent().len(), 1);
}

#[tokio::test]
async fn passing_refusals_are_tried_again_and_others_are_not() {
    let mut rig = Rig::start(SimulatedModem::new(), 1);
    rig.up().await;
    rig.modem.fault(Fault::Refuse(vec![314, 332]));
    rig.send("a").await.unwrap();
    assert_eq!(rig.counters.duplicates(), 2);
    rig.modem.fault(Fault::Refuse(vec![330]));
    let error = rig.send("b").await.unwrap_err();
    assert_eq!(error, SendError::Refused(AtError::Message(330)));
    assert!(error.to_string().contains("message centre"), "{error}");
    rig.modem.fault(Fault::Refuse(vec![331, 331, 331]));
    assert_eq!(rig.send("c").await, Err(SendError::Refused(AtError::Message(331))));
    assert_eq!(rig.modem.sent().len(), 1);
}

#[tokio::test]
async fn a_message_whose_answer_never_came_is_not_sent_twice() {
    let mut rig = Rig::start(SimulatedModem::new(), 1);
    rig.up().await;
    rig.modem.fault(Fault::Unconfirmed);
    assert_eq!(rig.send("once").await, Err(SendError::Unsure));
    // And the dialogue goes on, even when a command is not answered.
    rig.modem.fault(Fault::NoAnswer);
    rig.send("next").await.unwrap();
    let sent: Vec<_> = rig.modem.sent().iter().map(|s| s.message.content.text()).collect();
    assert_eq!(sent, ["once", "next"]);
}

#[tokio::test]
async fn no_card_then_a_card_and_no_network() {
    let modem = SimulatedModem::new();
    modem.fault(Fault::Sim(SimState::Missing));
    let mut rig = Rig::start(modem, 1);
    let health = rig.until_health(|health| *health != Health::Up).await;
    assert_eq!(health, Health::Down { why: "there is no SIM card in the modem".into() });
    let error = rig.send("x").await.unwrap_err();
    assert_eq!(error, SendError::NoModem("there is no SIM card in the modem".into()));
    rig.modem.fault(Fault::Sim(SimState::Ready));
    rig.up().await;
    rig.modem.fault(Fault::Network(false));
    rig.modem.fault(Fault::Sim(SimState::Ready));
    let health = rig.until_health(|health| *health != Health::Up).await;
    assert_eq!(health, Health::Down { why: "there is no network here: look at the aerial".into() });
}

#[tokio::test]
async fn a_modem_that_falls_silent_is_missed_and_its_orders_fail_in_time() {
    let mut rig = Rig::start(SimulatedModem::new(), 2);
    rig.up().await;
    rig.modem.fault(Fault::Silence);
    let error = rig.send("x").await.unwrap_err();
    assert!(matches!(error, SendError::NoModem(_)), "{error:?}");
    rig.until_health(|health| matches!(health, Health::Down { .. })).await;
}

#[tokio::test]
async fn limits() {
    let mut rig = Rig::start(SimulatedModem::new(), 1);
    rig.up().await;
    assert_eq!(rig.send(" ").await, Err(SendError::Empty));
    assert_eq!(rig.send(&"评".repeat(671)).await, Err(SendError::TooLong(TooLong)));
    for _ in 0..10 {
        rig.send("x").await.unwrap();
    }
    assert_eq!(rig.send("x").await, Err(SendError::DailyLimit));
    rig.desk.send("10086".parse().unwrap(), "x".into()).await.unwrap();
}

/// Nothing of a message or a number is in the log.
#[test]
fn numbers_are_masked() {
    let received = Received {
        from: number(),
        text: String::new(),
        sent: None,
        complete: true,
        arrived: Mono(0),
        receipt: Receipt::unacknowledged(),
    };
    assert!(!format!("{received:?}").contains("138001"));
}
