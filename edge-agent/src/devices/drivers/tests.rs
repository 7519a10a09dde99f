//! Which drivers there should be, and what a keyboard says by them.

use device_drivers::{
    profile::ProfileDriver,
    reading::Fact,
    simulator::keyboard::{FIVE_BUTTONS, RecordedKeyboard, Recording},
};

use super::{line::BUS, *};

fn wanted(place: &str, connection: Connection) -> Wanted {
    let window = place.starts_with('W').then(|| "450103-01-W07".parse().unwrap());
    let position = format!("450103-01-{place}").parse().unwrap();
    Wanted { position, window, connection, grades: BTreeMap::new() }
}

fn speaking(line: Line, role: Role, profile: &str, address: Option<u8>) -> Connection {
    Connection::Profile {
        line,
        role,
        profile: profile.into(),
        address,
        ack_form: None,
        text: None,
        values: Default::default(),
    }
}

fn serial(port: &str) -> Line {
    Line::Serial { port: port.into(), baud: 9600 }
}

#[test]
fn devices_of_one_line_have_one_driver_and_all_others_their_own() {
    let push =
        |serial: &str| Connection::Push { serial: serial.into(), address: None, comm_key_credential: None };
    let bus = Connection::BusKeypad { port: "/dev/a".into(), baud: 9600, address: 3 };
    let all = [
        wanted("W07-keypad", bus),
        wanted("W07-display", speaking(serial("/dev/a"), Role::Display, "led-strip-colour", Some(3))),
        wanted("V01-voice", speaking(serial("/dev/b"), Role::Voice, "syn6288-voice", None)),
        wanted("A01-attendance", push("CJDE1")),
        wanted("A02-attendance", push("CJDE2")),
        wanted("M01-modem", Connection::Modem { line: serial("/dev/c"), daily_per_number: 10 }),
    ];
    let guest = Listening { port: "/dev/b".into(), baud: 9600, tag: "v1/s1".into() };
    let plans = plans(&all, std::slice::from_ref(&guest), None);
    let positions: Vec<Vec<&str>> =
        plans.values().map(|plan| plan.positions().iter().map(|p| p.as_str()).collect()).collect();
    assert_eq!(
        positions,
        [
            vec!["450103-01-W07-keypad", "450103-01-W07-display"],
            vec!["450103-01-V01-voice"],
            vec!["450103-01-M01-modem"],
            vec!["450103-01-A01-attendance", "450103-01-A02-attendance"],
        ]
    );
    let Plan::Line(line) = &plans[&port_key(&serial("/dev/b"))] else { panic!() };
    assert_eq!(line.listening.as_deref(), Some("v1/s1"));
}

#[test]
fn a_device_that_its_profile_does_not_suit_is_refused_by_itself() {
    let library = Library::shipped().unwrap();
    let keyboard = Line::Keyboard { port: "/dev/input/event0".into() };
    let line = serial("/dev/a");
    let refused = |line: &Line, role, profile: &str| line::misfit(&library, line, role, profile);
    assert_eq!(refused(&line, Role::Display, "led-strip-mono"), None);
    assert_eq!(refused(&line, Role::Display, "ff68-counter-bus"), None, "a keypad can show a number");
    assert_eq!(refused(&keyboard, Role::Evaluator, "usb-boot-keyboard-evaluator"), None);
    for (line, role, profile, why) in [
        (&line, Role::Voice, "led-strip-mono", "is not of a voice"),
        (&line, Role::Evaluator, "syn6288-voice", "is not of a evaluator"),
        (&line, Role::Keypad, "dwin-dgus", "is not of a keypad"),
        (&line, Role::Evaluator, "usb-boot-keyboard-evaluator", "is of a keyboard"),
        (&keyboard, Role::Evaluator, "ff68-counter-bus", "this is a keyboard"),
        (&line, Role::Display, "led-strip", "there is no profile led-strip; there are cp5200-led"),
    ] {
        let said = refused(line, role, profile).unwrap();
        assert!(said.contains(why), "{said}");
    }

    // Two that cannot be told apart: the second is refused, the line goes on; listening takes what is left.
    let mut plan = line::Plan::new(line.clone());
    for (place, role, profile) in [
        ("W07-display", Role::Display, "led-strip-colour"),
        ("D01-display", Role::Display, "led-strip-colour"),
        ("W07-voice", Role::Voice, "led-strip-colour"),
        ("W07-keypad", Role::Keypad, BUS),
    ] {
        let device = wanted(place, speaking(line.clone(), role, profile, Some(3)));
        plan.devices.push(line::Device::of(&device).unwrap().1);
    }
    plan.listening = Some("v1/s1".into());
    let (orders, _) = mpsc::channel(1);
    let prepared = line::prepare(&plan, &library, &orders);
    let refused: Vec<&str> = prepared.refused.iter().map(|(position, _)| position.as_str()).collect();
    assert_eq!(refused, ["450103-01-W07-voice", "450103-01-D01-display"]);
    assert_eq!(prepared.wires.len(), 2);
    // The strip, the keypad, and every other address twice.
    assert_eq!(prepared.config.devices.len(), 2 + 2 * 256 - 1);
    prepared.config.check().unwrap();
}

#[tokio::test]
async fn the_keys_of_a_recorded_keyboard_are_grades_by_the_confirmed_map() {
    let line = Line::Keyboard { port: "/dev/input/event0".into() };
    let mut evaluator =
        wanted("W07-evaluator", speaking(line, Role::Evaluator, "usb-boot-keyboard-evaluator", None));
    evaluator.grades = BTreeMap::from([(0x1E, 1), (0x1F, 2), (0x20, 3), (0x21, 4), (0x22, 5)]);
    let (line, device) = line::Device::of(&evaluator).unwrap();
    let plan = line::Plan { devices: vec![device], ..line::Plan::new(line) };
    let (orders_in, orders) = mpsc::channel::<Order>(1);
    let prepared = line::prepare(&plan, &Library::shipped().unwrap(), &orders_in);
    assert!(prepared.refused.is_empty());
    let recording: Recording = FIVE_BUTTONS.parse().unwrap();
    let keyboard = RecordedKeyboard::new(recording, false);
    let driver = ProfileDriver::new(prepared.config, Box::new(keyboard), orders).unwrap();
    let (events_in, mut events) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(driver.run(Arc::new(SystemMonotonic), events_in, cancel.clone()));
    let (mut grades, mut health) = (Vec::new(), Vec::new());
    while grades.len() < 5 || health.len() < 2 {
        match timeout(Duration::from_secs(20), events.recv()).await.unwrap().unwrap() {
            DriverEvent::Reading(reading) => {
                assert_eq!(reading.position.0.as_ref(), "450103-01-W07-evaluator");
                let Fact::Grade { raw, grade, .. } = reading.fact else { panic!("{:?}", reading.fact) };
                grades.push((raw, grade));
            }
            DriverEvent::Health { health: now, .. } => health.push(now),
            DriverEvent::LogRead { .. } => {}
        }
    }
    let confirmed = evaluator.grades.iter().map(|(raw, grade)| (*raw, Some(*grade)));
    assert_eq!(grades, confirmed.collect::<Vec<_>>());
    assert!(matches!(health[..], [Health::Up, Health::Down { .. }]), "{health:?}");
    cancel.cancel();
    timeout(Duration::from_secs(20), running).await.unwrap().unwrap();
}
