use super::*;

fn strip(port: &str, address: Option<u8>) -> Connection {
    Connection::Profile {
        line: Line::Serial { port: port.into(), baud: 9600 },
        role: Role::Display,
        profile: "led-strip-colour".into(),
        address,
        ack_form: None,
        text: None,
        values: Args::from([("colour".to_owned(), device_drivers::profile::Arg::Number(1))]),
    }
}

#[test]
fn a_connection_is_read_back_as_it_was_kept() {
    let slots = vec![Slot { slot: 3, employee: "1001".into() }];
    let line = Line::TcpListen {
        listen: "10.0.0.1:5000".parse().unwrap(),
        allow: vec!["10.0.0.0/24".parse().unwrap()],
    };
    for connection in [
        strip("/dev/ttyS1", Some(3)),
        Connection::Push { serial: "CJDE1".into(), address: None, comm_key_credential: Some("k".into()) },
        Connection::Fingerprint {
            line: Line::Tcp { address: "10.0.0.7:4001".into() },
            family: Family::Ef01,
            password_credential: None,
            slots,
            state: 1,
        },
        Connection::Printer { line: line.clone(), paper: PaperWidth::Mm58, note: "过号作废".into() },
        Connection::Modem { line, daily_per_number: 3 },
    ] {
        assert_eq!(connection.fault(), None);
        let kept = serde_json::to_string(&connection).unwrap();
        assert_eq!(serde_json::from_str::<Connection>(&kept).unwrap(), connection, "{kept}");
    }
    // What an older agent kept.
    let old = r#"{"kind":"zk","address":"10.0.0.9:4370","comm_key_credential":null,"log_seconds":600}"#;
    assert!(serde_json::from_str::<Connection>(old).is_ok());
}

#[test]
fn who_may_share_a_line() {
    let keypad = Connection::BusKeypad { port: "/dev/ttyS1".into(), baud: 9600, address: 3 };
    assert!(strip("/dev/ttyS1", Some(3)).shares_line_with(&keypad), "the bus carries strips too");
    assert!(strip("/dev/ttyS1", Some(4)).shares_line_with(&strip("/dev/ttyS1", Some(3))));
    assert!(!strip("/dev/ttyS1", Some(3)).shares_line_with(&strip("/dev/ttyS1", Some(3))));
    assert!(!strip("/dev/ttyS1", None).shares_line_with(&keypad), "without an address it is alone");
    assert!(strip("/dev/ttyS2", None).shares_line_with(&keypad));
    let faster = Connection::BusKeypad { port: "/dev/ttyS1".into(), baud: 19_200, address: 9 };
    assert!(!faster.shares_line_with(&keypad) && !faster.shares_line_with(&strip("/dev/ttyS1", Some(3))));
    let printer = Connection::Printer {
        line: Line::Serial { port: "/dev/ttyS1".into(), baud: 9600 },
        paper: PaperWidth::Mm80,
        note: String::new(),
    };
    assert!(!printer.shares_line_with(&keypad));
}

#[test]
fn what_cannot_be_is_said_by_its_field() {
    let field = |c: &Connection| c.fault().map(|(field, _)| field);
    let modem = |line| Connection::Modem { line, daily_per_number: 10 };
    assert_eq!(field(&modem(Line::Tcp { address: "10.0.0.1".into() })), Some("address"));
    assert_eq!(field(&modem(Line::Tcp { address: "host:0".into() })), Some("address"));
    assert_eq!(field(&modem(Line::Serial { port: "ttyS0".into(), baud: 9600 })), Some("port"));
    assert_eq!(field(&modem(Line::Serial { port: "/dev/ttyS0".into(), baud: 5 })), Some("baud"));
    assert_eq!(field(&modem(Line::Keyboard { port: "/dev/input/event0".into() })), Some("line"));
    let listen = "0.0.0.0:5000".parse().unwrap();
    assert_eq!(field(&modem(Line::TcpListen { listen, allow: Vec::new() })), Some("allow"));
    let push =
        |serial: &str| Connection::Push { serial: serial.into(), address: None, comm_key_credential: None };
    assert_eq!((field(&push("A B")), field(&push("AB-1"))), (Some("serial"), None));
    let slot = |slot, employee: &str| Slot { slot, employee: employee.into() };
    for (slots, state, wrong) in [
        (vec![slot(1, "1"), slot(1, "2")], 0, Some("slots")),
        (vec![slot(1, "")], 0, Some("slots")),
        (vec![slot(1, "1")], 6, Some("state")),
        (Vec::new(), 0, None),
    ] {
        let line = Line::Serial { port: "/dev/ttyS0".into(), baud: 57_600 };
        let module =
            Connection::Fingerprint { line, family: Family::Ef01, password_credential: None, slots, state };
        assert_eq!(field(&module), wrong);
    }
    let mut keyboard = strip("/dev/x", None);
    let Connection::Profile { role, .. } = &mut keyboard else { panic!() };
    *role = Role::Modem;
    assert_eq!(field(&keyboard), Some("role"));
}
