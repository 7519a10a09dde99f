//! Requests and answers of docs/reference/devices.md A2.

use std::net::Ipv4Addr;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
const LINE: &str = "1001\t2024-03-05 08:59:01\t0\t1\t0\t0\t0";

fn config() -> PushConfig {
    let terminal = PushTerminal {
        position: "h-A01-attendance".into(),
        serial: "CDEMO0001".into(),
        comm_key: None,
        address: None,
    };
    PushConfig::new(vec![terminal], 480)
}

fn local() -> DateTime {
    date(2024, 3, 5).at(9, 0, 0, 0)
}

fn ask(desk: &mut Desk, verb: &str, target: &str, body: &str) -> Outcome {
    ask_at(desk, verb, target, body, HOME, Mono(0))
}

fn ask_at(desk: &mut Desk, verb: &str, target: &str, body: &str, from: IpAddr, now: Mono) -> Outcome {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request { post: verb == "POST", path, query, body: body.as_bytes(), from };
    desk.take(&request, now, local())
}

fn answer(outcome: Outcome) -> (u16, String) {
    match outcome {
        Outcome::Answer(answer) => (answer.status, answer.text),
        other => panic!("{other:?}"),
    }
}

/// A2.1.
#[test]
fn start_up() {
    let mut desk = Desk::new(config());
    let target =
        "/iclock/cdata?SN=CDEMO0001&options=all&pushver=2.4.1&DeviceType=att&language=83&pushcommkey=x";
    let Outcome::Start { serial, version } = ask(&mut desk, "GET", target, "") else { panic!() };
    assert_eq!((serial.as_str(), version), ("CDEMO0001", VERSION));
    let told = desk.start(&serial, version, Some("82")).text;
    assert!(told.starts_with("GET OPTION FROM: CDEMO0001\nATTLOGStamp=82\n"), "{told}");
    let Outcome::Start { version, .. } = ask(&mut desk, "GET", "/iclock/cdata?SN=CDEMO0001&options=all", "")
    else {
        panic!()
    };
    assert_eq!(version, Version::UNSAID);
    assert!(desk.start("CDEMO0001", version, Some("a\nb")).text.contains("ATTLOGStamp=None\n"));
}

/// A2.2: the count of lines received is acknowledged, also of those that are sent again or cannot be read.
#[test]
fn uploads() {
    let mut desk = Desk::new(config());
    let body = format!("{LINE}\n{LINE}\nrubbish\n1002\t2024-03-05 08:59:02\t1\t15\n");
    let target = "/iclock/cdata?SN=CDEMO0001&table=ATTLOG&Stamp=9911";
    let Outcome::Store(upload) = ask(&mut desk, "POST", target, &body) else { panic!() };
    assert_eq!((upload.count, upload.punches.len(), upload.stamp.as_deref()), (4, 3, Some("9911")));
    assert_eq!(desk.fresh(&upload).len(), 2);
    // Not stored: it counts as new when it comes again.
    assert_eq!(desk.fresh(&upload).len(), 2);
    assert_eq!(desk.stored(&upload), Answer { status: 200, text: "OK:4\n".into() });
    assert!(desk.fresh(&upload).is_empty());
    let Outcome::Store(again) = ask(&mut desk, "POST", target, &body) else { panic!() };
    assert!(desk.fresh(&again).is_empty());
    assert_eq!(desk.stored(&again).text, "OK:4\n");
}

/// A2.2: the other requests.
#[test]
fn other_requests() {
    let mut desk = Desk::new(config());
    for (verb, target, body, expected) in [
        ("POST", "/iclock/cdata?SN=CDEMO0001&table=options", "~DeviceName=K40,MAC=x", "OK\n"),
        ("POST", "/iclock/cdata?SN=CDEMO0001&table=OPERLOG&Stamp=1", "OPLOG 4\nFP PIN=1\tTMP=AA\n", "OK:2\n"),
        ("POST", "/iclock/cdata?SN=CDEMO0001&table=ATTPHOTO", "PIN=1.jpg\nCMD=uploadphoto\0xxxx", "OK\n"),
        ("GET", "/iclock/getrequest?SN=CDEMO0001", "", "OK\n"),
        ("GET", "/iclock/getrequest?SN=CDEMO0001&INFO=Ver%208.0.4,3,3,9,10.0.0.9,10,7", "", "OK\n"),
        ("GET", "/iclock/ping?SN=CDEMO0001", "", "OK\n"),
        ("POST", "/iclock/devicecmd?SN=CDEMO0001", "ID=1&Return=0&CMD=INFO\n", "OK\n"),
    ] {
        assert_eq!(answer(ask(&mut desk, verb, target, body)), (200, expected.to_owned()), "{target}");
    }
    assert_eq!(desk.callers()[0].firmware.as_deref(), Some("Ver 8.0.4"));
}

#[test]
fn refusals() {
    let mut desk = Desk::new(config());
    for (verb, target, status) in [
        ("GET", "/iclock/cdata?SN=STRANGER&options=all", 403),
        ("POST", "/iclock/cdata?SN=STRANGER&table=ATTLOG", 403),
        ("GET", "/iclock/cdata?options=all", 400),
        ("GET", "/iclock/cdata?SN=a%0Ab&options=all", 400),
        ("GET", "/", 404),
        ("GET", "/iclock/file?SN=CDEMO0001", 404),
        ("POST", "/iclock/exchange?SN=CDEMO0001&type=publickey", 404),
        ("POST", "/iclock/registry?SN=CDEMO0001", 403),
        ("POST", "/iclock/cdata?SN=CDEMO0001&table=rtlog", 403),
        ("GET", "/iclock/cdata?SN=CDEMO0001&options=all&DeviceType=acc", 403),
    ] {
        assert_eq!(answer(ask(&mut desk, verb, target, "")).0, status, "{target}");
    }
    let strangers: Vec<_> = desk.callers().into_iter().filter(|c| !c.allowed).collect();
    assert_eq!((strangers.len(), strangers[0].serial.as_str()), (1, "STRANGER"));
    for n in 0..1000 {
        ask(&mut desk, "GET", &format!("/iclock/ping?SN=S{n}"), "");
    }
    assert_eq!(desk.callers().iter().filter(|c| !c.allowed).count(), STRANGERS);
}

#[test]
fn a_wrong_key_or_address_is_refused() {
    let mut config = config();
    config.terminals[0].comm_key = Some("secret".into());
    config.terminals[0].address = Some(HOME);
    assert!(!format!("{config:?}").contains("secret"));
    let mut desk = Desk::new(config);
    let start = |key: &str| format!("/iclock/cdata?SN=CDEMO0001&options=all&pushcommkey={key}");
    assert_eq!(answer(ask(&mut desk, "GET", &start("guess"), "")).0, 403);
    assert_eq!(answer(ask(&mut desk, "GET", "/iclock/ping?SN=CDEMO0001", "")).0, 403);
    assert!(matches!(ask(&mut desk, "GET", &start("secret"), ""), Outcome::Start { .. }));
    assert_eq!(answer(ask(&mut desk, "GET", "/iclock/ping?SN=CDEMO0001", "")).0, 200);
    let elsewhere = Ipv4Addr::new(10, 0, 0, 10).into();
    let outcome = ask_at(&mut desk, "GET", "/iclock/ping?SN=CDEMO0001", "", elsewhere, Mono(0));
    assert_eq!(answer(outcome).0, 403);
}

#[test]
fn who_asks_too_often_waits() {
    let mut desk = Desk::new(config());
    let mut asked = |now| answer(ask_at(&mut desk, "GET", "/iclock/ping?SN=CDEMO0001", "", HOME, now)).0;
    assert_eq!((0..80).filter(|_| asked(Mono(0)) == 200).count(), 60);
    assert_eq!((0..80).filter(|_| asked(Mono(1_000_000)) == 200).count(), 10);
}

/// A2.3: the one order there is, once a day and after a start.
#[test]
fn clocks() {
    let poll = "/iclock/getrequest?SN=CDEMO0001";
    let mut desk = Desk::new(PushConfig { clock: ClockOrder::Packed, ..config() });
    let ordered = answer(ask(&mut desk, "GET", poll, "")).1;
    assert_eq!(ordered, "C:T240305090000:SET OPTION DateTime=777114000\n");
    let result = "ID=T240305090000&Return=0&CMD=SET OPTION\n";
    assert_eq!(answer(ask(&mut desk, "POST", "/iclock/devicecmd?SN=CDEMO0001", result)).1, "OK\n");
    assert_eq!(answer(ask(&mut desk, "GET", poll, "")).1, "OK\n");
    let tomorrow = Mono(CLOCK_EVERY.as_micros() as u64);
    let again = answer(ask_at(&mut desk, "GET", poll, "", HOME, tomorrow)).1;
    assert!(again.contains("SET OPTION DateTime="), "{again}");
}

proptest! {
    #[test]
    fn any_request(
        post: bool,
        path in "/iclock/(cdata|getrequest|devicecmd|ping|[a-z]{0,8})",
        query in "(SN=CDEMO0001&)?[ -~]{0,60}",
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut desk = Desk::new(PushConfig { clock: ClockOrder::Text, ..config() });
        let request = Request { post, path: &path, query: &query, body: &body, from: HOME };
        if let Outcome::Store(upload) = desk.take(&request, Mono(0), local()) {
            prop_assert!(upload.punches.len() <= upload.count);
            prop_assert_eq!(desk.stored(&upload).text, format!("OK:{}\n", upload.count));
            prop_assert!(desk.fresh(&upload).is_empty());
        }
    }
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut desk = Desk::new(config());
    for batch in 0..3 {
        let body: String =
            (0..9000).map(|n| format!("{}\t2024-03-05 08:59:01\t0\t1\n", batch * 9000 + n)).collect();
        let target = "/iclock/cdata?SN=CDEMO0001&table=ATTLOG&Stamp=1";
        let Outcome::Store(upload) = ask(&mut desk, "POST", target, &body) else { panic!() };
        desk.stored(&upload);
    }
    let known = &desk.known["CDEMO0001"];
    assert_eq!((known.told.len(), known.order.len()), (REMEMBERED, REMEMBERED));
}
