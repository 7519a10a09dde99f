//! The driver against the simulated bus, over a pipe and over a pty.

use super::*;
use crate::{
    clock::SystemMonotonic,
    counter::config::{EvaluatorConfig, KeypadConfig},
    port::{HandedPort, SerialConfig, SerialPort, Stream},
    reading::{Fact, Health, Key, Reading},
    simulator::{
        counter::{BusSetup, CounterBus, Fault},
        pty::Pty,
    },
};

const LONG: Duration = Duration::from_secs(10);

fn config() -> BusConfig {
    let keypad = KeypadConfig { address: 3, position: "w1-keypad".into() };
    let evaluator = |address, ack| EvaluatorConfig {
        address,
        position: "w1-evaluator".into(),
        ack,
        grades: (0..5).map(|raw| (raw, raw + 1)).collect(),
    };
    BusConfig::new(vec![keypad], vec![evaluator(3, AckForm::A), evaluator(0x83, AckForm::B)])
}

fn devices() -> CounterBus {
    CounterBus::new(BusSetup {
        keypads: vec![3],
        evaluators: vec![(3, AckForm::A), (0x83, AckForm::B)],
        retransmit: Duration::from_millis(100),
        attempts: None,
    })
}

struct Rig {
    bus: CounterBus,
    events: mpsc::Receiver<DriverEvent>,
    commands: mpsc::Sender<BusCommand>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Rig {
    fn start(port: Box<dyn Port>, mut far: Vec<Stream>) -> Self {
        let bus = devices();
        let cancel = CancellationToken::new();
        let (commands, receiver) = mpsc::channel(8);
        let driver = BusDriver::new(config(), port, receiver).unwrap();
        let counters = driver.counters();
        let (sender, events) = mpsc::channel(64);
        let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
        let serving = tokio::spawn({
            let (bus, cancel) = (bus.clone(), cancel.clone());
            async move {
                for stream in &mut far {
                    let _ = bus.serve(stream, &cancel).await;
                }
            }
        });
        Self { bus, events, commands, counters, cancel, tasks: vec![driving, serving] }
    }

    fn over_pipe() -> Self {
        let (near, far) = tokio::io::duplex(4096);
        Self::start(Box::new(HandedPort::new([Box::new(near) as Stream])), vec![Box::new(far)])
    }

    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(LONG, self.events.recv()).await.expect("an event in time").expect("driver runs")
    }

    async fn reading(&mut self) -> Reading {
        loop {
            if let DriverEvent::Reading(reading) = self.event().await {
                return reading;
            }
        }
    }

    async fn health(&mut self, wanted: impl Fn(&Health) -> bool) -> Health {
        loop {
            match self.event().await {
                DriverEvent::Health { health, .. } if wanted(&health) => return health,
                _ => {}
            }
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        for task in self.tasks {
            tokio::time::timeout(LONG, task).await.expect("ends when cancelled").unwrap();
        }
    }
}

#[tokio::test]
async fn a_press_is_acknowledged_only_once_it_is_durable() {
    let mut rig = Rig::over_pipe();
    let id = rig.bus.press(3, "1001", Key::Call);
    let reading = rig.reading().await;
    assert_eq!(reading.fact, Fact::Key { address: 3, digits: "1001".into(), key: Key::Call });
    assert_eq!(reading.position, "w1-keypad".into());
    // While the disk is slow the device goes on, for longer than the duplicate window.
    while rig.bus.one_press(id).unwrap().sent < 6 {
        assert!(rig.bus.one_press(id).unwrap().acknowledged.is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(rig.events.try_recv().is_err(), "one press is one reading");
    reading.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    assert!(rig.counters.duplicates() >= 4);
    rig.stop().await;
}

#[tokio::test]
async fn both_acknowledgement_forms_and_the_grade_map() {
    let mut rig = Rig::over_pipe();
    for (address, raw, grade) in [(3u8, 4u8, Some(5u8)), (0x83, 0, Some(1)), (0x83, 9, None)] {
        let id = rig.bus.rate(address, raw);
        let reading = rig.reading().await;
        assert_eq!(reading.fact, Fact::Grade { address, raw, grade });
        reading.receipt.durable();
        assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    }
    rig.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_that_was_not_heard_is_said_again() {
    let mut rig = Rig::over_pipe();
    rig.bus.fault(Fault::DeafToAcknowledgements(3));
    let id = rig.bus.press(3, "", Key::Recall);
    rig.reading().await.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    assert!(rig.bus.one_press(id).unwrap().sent >= 4);
    assert!(rig.events.try_recv().is_err());
    rig.stop().await;
}

#[tokio::test]
async fn what_was_not_stored_comes_again() {
    let mut rig = Rig::over_pipe();
    let id = rig.bus.press(3, "", Key::Call);
    drop(rig.reading().await);
    rig.reading().await.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    rig.stop().await;
}

#[tokio::test]
async fn faults_on_the_line_cost_nothing_but_time() {
    let mut rig = Rig::over_pipe();
    for fault in [
        Fault::BadChecksum,
        Fault::Duplicate,
        Fault::Split(Duration::from_millis(5)),
        Fault::Split(Duration::from_millis(120)),
        Fault::Noise(vec![0xFF, 0x68, 0x10, 0x10, 0x68, 0x55]),
    ] {
        rig.bus.fault(fault.clone());
        let id = rig.bus.press(3, "7", Key::Call);
        let reading = rig.reading().await;
        assert_eq!(reading.fact, Fact::Key { address: 3, digits: "7".into(), key: Key::Call }, "{fault:?}");
        reading.receipt.durable();
        assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some(), "{fault:?}");
        // Two presses of the same key by a person are further apart than the duplicate window.
        tokio::time::sleep(Duration::from_millis(350)).await;
        assert!(rig.events.try_recv().is_err(), "{fault:?} made a second reading");
    }
    rig.stop().await;
}

#[tokio::test]
async fn glued_frames_of_two_devices_are_two_readings() {
    let mut rig = Rig::over_pipe();
    rig.bus.fault(Fault::Glue);
    let grade = rig.bus.rate(0x83, 2);
    let key = rig.bus.press(3, "", Key::Pause);
    for _ in 0..2 {
        rig.reading().await.receipt.durable();
    }
    for id in [grade, key] {
        assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_keypad_and_an_evaluator_of_one_address_do_not_disturb_each_other() {
    let mut rig = Rig::over_pipe();
    let ids = [rig.bus.press(3, "5", Key::Call), rig.bus.rate(3, 4)];
    let readings = [rig.reading().await, rig.reading().await];
    assert_ne!(readings[0].fact, readings[1].fact);
    while ids.iter().any(|id| rig.bus.one_press(*id).unwrap().sent < 5) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        rig.events.try_recv().is_err(),
        "retransmissions of two devices in turn are still retransmissions"
    );
    for reading in readings {
        reading.receipt.durable();
    }
    for id in ids {
        assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    }
    assert_eq!(rig.bus.one_press(ids[0]).unwrap().key(), Some(("5".into(), Key::Call)));
    assert_eq!(rig.bus.one_press(ids[1]).unwrap().raw_grade(), Some(4));
    rig.stop().await;
}

#[tokio::test]
async fn a_flood_of_noise_is_survived_and_a_press_in_it_is_read() {
    let mut rig = Rig::over_pipe();
    rig.bus.fault(Fault::Noise((0..200_000u32).map(|n| (n % 251) as u8).collect()));
    rig.health(|h| matches!(h, Health::Degraded { .. })).await;
    let id = rig.bus.press(3, "", Key::Call);
    rig.reading().await.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    rig.stop().await;
}

#[tokio::test]
async fn noise_makes_the_bus_degraded_and_commands_still_arrive() {
    let mut rig = Rig::over_pipe();
    rig.health(|h| *h == Health::Up).await;
    rig.bus.fault(Fault::Noise(vec![0x5A; 4000]));
    rig.health(|h| matches!(h, Health::Degraded { .. })).await;
    for command in [
        BusCommand::ShowTicket { address: 3, n: 5123 },
        BusCommand::Beep { address: 3 },
        BusCommand::BeginEvaluation { address: 3 },
    ] {
        rig.commands.send(command).await.unwrap();
    }
    tokio::time::timeout(LONG, async {
        while rig.bus.display(3).invitations == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let display = rig.bus.display(3);
    assert_eq!(display.cells, [0x0A, 0x0A, 0x0A, 1, 2, 3]);
    assert_eq!(display.beeps, 1);
    rig.stop().await;
}

#[tokio::test]
async fn over_a_pty_with_unplug_and_return() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("counter");
    let pty = Pty::open(Some(&link)).unwrap();
    let port =
        SerialPort::new(SerialConfig { dtr: Some(true), rts: Some(false), ..SerialConfig::new(&link, 9600) });
    let mut rig = Rig::start(Box::new(port), vec![Box::new(pty)]);
    rig.health(|h| *h == Health::Up).await;
    let id = rig.bus.press(3, "12", Key::Call);
    rig.reading().await.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());

    rig.bus.fault(Fault::Disconnect);
    // The serving task ends and drops its pty.
    let serving = rig.tasks.pop().unwrap();
    serving.await.unwrap();
    rig.health(|h| matches!(h, Health::Down { .. })).await;
    let mut pty = Pty::open(Some(&link)).unwrap();
    let (bus, cancel) = (rig.bus.clone(), rig.cancel.clone());
    rig.tasks.push(tokio::spawn(async move {
        let _ = bus.serve(&mut pty, &cancel).await;
    }));
    rig.health(|h| *h == Health::Up).await;
    let id = rig.bus.rate(3, 4);
    rig.reading().await.receipt.durable();
    assert!(rig.bus.wait_acknowledged(id, LONG).await.is_some());
    rig.stop().await;
}

#[test]
fn configuration_is_read_and_checked() {
    let text = r#"
        [[keypads]]
        address = 3
        position = "w1-keypad"
        [[evaluators]]
        address = 3
        position = "w1-evaluator"
        ack = "a"
        grades = { "04" = 5, "03" = 4, "02" = 3, "01" = 2, "00" = 1 }
    "#;
    let read: BusConfig = toml::from_str(text).unwrap();
    assert_eq!(read.evaluators[0].grades[&4], 5);
    assert_eq!(read.check(), Ok(()));
    assert!(toml::from_str::<BusConfig>(&text.replace("ack", "akc")).is_err());
    let mut twice = read.clone();
    twice.keypads.push(twice.keypads[0].clone());
    assert_eq!(twice.check(), Err(BusConfigError::AddressTwice(3)));
    let mut wrong = read;
    wrong.evaluators[0].grades.insert(9, 6);
    assert_eq!(wrong.check(), Err(BusConfigError::Grade { raw: 9, grade: 6 }));
}
