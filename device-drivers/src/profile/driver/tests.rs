//! The driver with devices that are no counter bus: a voice, a polled device, a keyboard, a shared line.

use tokio::io::{AsyncWriteExt, DuplexStream};

use super::*;
use crate::{
    clock::SystemMonotonic,
    port::{HandedPort, hid::reports},
    profile::{Attached, Purpose, shipped::Library},
    simulator::keyboard::{FIVE_BUTTONS, Recording},
};

const LONG: Duration = Duration::from_secs(10);

struct Rig {
    events: mpsc::Receiver<DriverEvent>,
    orders: mpsc::Sender<Order>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Rig {
    fn start(config: LineConfig, stream: Stream) -> Self {
        let (orders, receiver) = mpsc::channel(8);
        let driver = ProfileDriver::new(config, Box::new(HandedPort::new([stream])), receiver).unwrap();
        let (sender, events) = mpsc::channel(64);
        let (counters, cancel) = (driver.counters(), CancellationToken::new());
        let task = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
        Self { events, orders, counters, cancel, task }
    }

    fn over_pipe(config: LineConfig) -> (Self, DuplexStream) {
        let (near, far) = tokio::io::duplex(4096);
        (Self::start(config, Box::new(near)), far)
    }

    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(LONG, self.events.recv()).await.expect("an event in time").expect("driver runs")
    }

    async fn fact(&mut self) -> Fact {
        loop {
            if let DriverEvent::Reading(reading) = self.event().await {
                assert!(!reading.receipt.is_awaited(), "{:?}", reading.fact);
                return reading.fact;
            }
        }
    }

    async fn health(&mut self, wanted: impl Fn(&Health) -> bool) {
        loop {
            match self.event().await {
                DriverEvent::Health { health, .. } if wanted(&health) => return,
                _ => {}
            }
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(LONG, self.task).await.expect("ends when cancelled").unwrap();
    }
}

fn shipped(name: &str) -> Arc<Profile> {
    Arc::new(Library::one_shipped(name).unwrap())
}

async fn read(far: &mut DuplexStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(LONG, far.read_exact(&mut bytes)).await.expect("bytes in time").unwrap();
    bytes
}

#[tokio::test]
async fn a_voice_gets_its_next_text_when_it_says_that_it_is_idle() {
    let voice = Attached::new("w1-voice".into(), Kind::Other, None);
    let (mut rig, mut far) = Rig::over_pipe(LineConfig::new(vec![shipped("syn6288-voice")], vec![voice]));
    for ticket in ["A001", "A002"] {
        let order = Order::purpose(Purpose::Speak).with("text", format!("请{ticket}号到3号窗口").as_str());
        rig.orders.send(order).await.unwrap();
    }
    let first = read(&mut far, 23).await;
    assert_eq!((first[0], first[8], first[9], first[10]), (0xFD, b'0', b'0', b'1'));
    far.write_all(&[0x41]).await.unwrap();
    assert!(matches!(rig.fact().await, Fact::Report { name, .. } if name == "Accepted"));
    // Accepted is not spoken: nothing more comes until it is idle.
    let early = tokio::time::timeout(Duration::from_millis(150), far.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    far.write_all(&[0x4F]).await.unwrap();
    let second = read(&mut far, 23).await;
    assert_eq!(second[10], b'2');
    rig.stop().await;
}

#[tokio::test]
async fn what_would_be_said_too_late_is_not_said() {
    let voice = Attached::new("w1-voice".into(), Kind::Other, None);
    let profile = shipped("syn6288-voice");
    let (mut rig, mut far) = Rig::over_pipe(LineConfig::new(vec![Arc::clone(&profile)], vec![voice]));
    let speak = |text: &str| Order::purpose(Purpose::Speak).with("text", text);
    for order in
        [speak("一"), speak("二").before(Instant::now()), speak("三").before(Instant::now() + LONG * 10)]
    {
        rig.orders.send(order).await.unwrap();
    }
    for text in ["一", "三"] {
        let wanted = profile.encode("speak", &speak(text).args).unwrap();
        assert_eq!(read(&mut far, wanted.len()).await, wanted);
        far.write_all(&[0x4F]).await.unwrap();
        assert!(matches!(rig.fact().await, Fact::Report { name, .. } if name == "Idle"));
    }
    rig.stop().await;
}

const POLLED: &str = r#"
profile = "polled"
[transport]
kind = "serial"
[frame]
header = "7E"
fixed = 4
checksum = { kind = "xor8", from = 1, at = -1 }
[fields]
address = { offset = 1 }
state = { offset = 2 }
[[message]]
event = "State"
values = { state = "state" }
[[command]]
name = "ask"
hex = "7E {address} 3F {checksum}"
busy = { until = "*", ms = 100 }
[[poll]]
command = "ask"
every_ms = 50
silent_after_ms = 300
[[test]]
hex = "7E 09 01 08"
expect = { event = "State", address = 9, state = 1 }
"#;

#[tokio::test]
async fn a_polled_device_that_does_not_answer_is_silent_until_it_does() {
    let profile = Arc::new(Profile::parse("polled", POLLED).unwrap());
    let device = Attached::new("x".into(), Kind::Other, Some(9));
    let (mut rig, mut far) = Rig::over_pipe(LineConfig::new(vec![profile], vec![device]));
    rig.health(|health| *health == Health::Up).await;
    assert_eq!(read(&mut far, 4).await, [0x7E, 9, 0x3F, 0x36]);
    rig.health(|health| matches!(health, Health::Silent { .. })).await;
    far.write_all(&[0x7E, 9, 1, 8]).await.unwrap();
    rig.health(|health| *health == Health::Up).await;
    assert!(matches!(rig.fact().await, Fact::Report { address: 9, .. }));
    rig.stop().await;
}

/// The recorded events of a five-key USB keypad (docs/reference/devices.md C.1, E).
#[tokio::test]
async fn a_usb_keyboard_is_an_evaluator() {
    let recording: Recording = FIVE_BUTTONS.parse().unwrap();
    let keys = recording.events(false).chain(futures_util::stream::pending());
    let evaluator = Attached::new("w1-evaluator".into(), Kind::Evaluator, None);
    let config = LineConfig::new(vec![shipped("usb-boot-keyboard-evaluator")], vec![evaluator]);
    let mut rig = Rig::start(config, reports(Box::pin(keys)));
    for grade in [5, 4, 3, 2, 1] {
        let Fact::Grade { address: 0, grade: told, .. } = rig.fact().await else { panic!() };
        assert_eq!(told, Some(grade));
    }
    assert_eq!(rig.counters.bad(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_strip_shares_the_counter_bus() {
    let strip = Attached { profile: 1, ..Attached::new("w1-strip".into(), Kind::Other, Some(1)) };
    let keypad = Attached::new("w1-keypad".into(), Kind::Keypad, Some(3));
    let config =
        LineConfig::new(vec![shipped("ff68-counter-bus"), shipped("led-strip-colour")], vec![keypad, strip]);
    let (mut rig, mut far) = Rig::over_pipe(config);
    let order = Order::purpose(Purpose::ShowText).of("led-strip-colour").to(1).with("text", "A001");
    rig.orders.send(order).await.unwrap();
    rig.orders.send(Order::command("beep").to(3)).await.unwrap();
    assert_eq!(
        data_encoding::HEXUPPER.encode(&read(&mut far, 15).await),
        "A09001A5000841003000300031 00DC".replace(' ', "")
    );
    far.write_all(&[0xA0, 0x90, 1, 0xA5, 0xAA]).await.unwrap();
    assert!(matches!(rig.fact().await, Fact::Report { address: 1, name, .. } if name == "Shown"));
    assert_eq!(read(&mut far, 9).await[6], 3);
    rig.stop().await;
}

#[test]
fn a_line_that_cannot_work_is_refused() {
    let check = |devices: Vec<Attached>| LineConfig::new(vec![shipped("syn6288-voice")], devices).check();
    let voice = Attached::new("v".into(), Kind::Other, None);
    assert_eq!(check(vec![voice.clone()]), Ok(()));
    assert_eq!(check(vec![]), Err(LineConfigError::Empty));
    assert!(matches!(check(vec![voice.clone(), voice.clone()]), Err(LineConfigError::Twice { .. })));
    let evaluator = Attached { kind: Kind::Evaluator, ..voice.clone() };
    assert!(matches!(check(vec![evaluator]), Err(LineConfigError::Mute { .. })));
    let strange = Attached { ack: Some("b".into()), ..voice.clone() };
    assert!(matches!(check(vec![strange]), Err(LineConfigError::NoAckForm { .. })));
    assert!(matches!(check(vec![Attached { profile: 3, ..voice }]), Err(LineConfigError::NoProfile)));
}
