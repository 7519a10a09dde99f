//! Devices that show themselves in their test, and terminals that call in: simulated ones, with no centre anywhere.

use std::{sync::Arc, time::Duration};

use device_drivers::simulator::{printer::PaperPrinter, pty::Pty, push::PushDevice};
use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_util::sync::CancellationToken;

use super::test_hall::{Hall, LONG};

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_prints_a_test_slip_and_a_voice_speaks() {
    let data = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let printer = Arc::new(PaperPrinter::new());
    let (serving, until) = (printer.clone(), cancel.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = serving.serve(&mut stream, &until).await;
        }
    });
    let line = data.path().join("voice");
    let mut voice = Pty::open(Some(&line)).unwrap();
    let hall = Hall::start(data.path(), "").await;
    hall.ok("POST", "visit", json!({"window": "450103-01-W07"})).await;
    let stated = |connection| json!({"source": "stated", "connection": connection});
    let tcp = json!({"via": "tcp", "address": address});
    hall.ok("POST", "visit/searches", stated(json!({"kind": "printer", "line": tcp}))).await;
    let serial = json!({"via": "serial", "port": line, "baud": 9600});
    let speaking = json!({"kind": "profile", "line": serial, "role": "voice", "profile": "syn6288-voice"});
    hall.ok("POST", "visit/searches", stated(speaking)).await;

    let at = "450103-01-P01-printer";
    hall.ok("POST", "visit/bind", json!({"candidate": "c1", "position": at})).await;
    hall.health_until(at, "online").await;
    let shown = hall.ok("GET", &format!("positions/{at}"), json!({})).await;
    assert_eq!(shown["shows"], json!(["print"]));
    let show = json!({"position": at, "how": "print"});
    assert_eq!(hall.refused("POST", "visit/test/show", show.clone()).await.1, "not-in-test");
    let visit = hall.ok("POST", "visit/test", json!({"position": at})).await;
    let case = visit["tests"][0]["case_id"].as_str().unwrap();
    assert_eq!(
        hall.refused("POST", "visit/test/show", json!({"position": at, "how": "voice"})).await.1,
        "invalid"
    );
    hall.ok("POST", "visit/test/show", show.clone()).await;
    let slips = printer.slips();
    let text = slips[0].text();
    assert!(slips.len() == 1 && text.contains("设备测试") && text.contains(case), "{text}");
    printer.set(|condition| condition.cover_open = true);
    let (status, code, params) = hall.refused("POST", "visit/test/show", show).await;
    assert_eq!((status, code.as_str()), (502, "device"));
    assert!(params["why"].as_str().is_some_and(|why| why.contains("cover")), "{params}");

    let at = "450103-01-W07-voice";
    hall.ok("POST", "visit/bind", json!({"candidate": "c2", "position": at})).await;
    hall.ok("POST", "visit/test", json!({"position": at})).await;
    let heard = async {
        let mut all = Vec::new();
        let mut buffer = [0u8; 256];
        let wanted = encoding_rs::GBK.encode("设备测试").0.into_owned();
        loop {
            let _ = hall.ask("POST", "visit/test/show", json!({"position": at, "how": "voice"})).await;
            if let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(500), voice.read(&mut buffer)).await
            {
                all.extend_from_slice(&buffer[..n]);
            }
            if all.windows(wanted.len()).any(|bytes| bytes == wanted) {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, heard).await.expect("the voice was told nothing");
    hall.stop().await;
    cancel.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_calls_in_is_found_and_its_punch_is_seen() {
    let data = tempfile::tempdir().unwrap();
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let listen = free.local_addr().unwrap();
    drop(free);
    let devices = format!("[attendance_push]\nlisten = \"{listen}\"\nallow = [\"127.0.0.1\"]\n");
    let hall = Hall::start(data.path(), &devices).await;
    hall.ok("POST", "visit", json!({})).await;
    let sources = hall.ok("GET", "visit/sources", json!({})).await;
    assert!(sources["items"].as_array().unwrap().iter().any(|s| s["source"] == "push"));
    let mut terminal = PushDevice::new("CKJF201160123", listen, "");
    let called = async {
        loop {
            let _ = terminal.start().await;
            let visit = hall.ok("POST", "visit/searches", json!({"source": "push"})).await;
            if visit["candidates"][0]["hardware"]["serial"] == "CKJF201160123" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG, called).await.expect("the terminal was not found");
    let at = "450103-01-A01-attendance";
    hall.ok("POST", "visit/bind", json!({"candidate": "c1", "position": at})).await;
    hall.ok("POST", "visit/test", json!({"position": at})).await;
    let punch = device_drivers::attendance::zk::records::Punch {
        employee: "1001".into(),
        at: jiff::civil::date(2026, 11, 26).at(8, 30, 0, 0),
        verify: 1,
        state: 0,
    };
    terminal.punch(punch);
    let seen = async {
        loop {
            let _ = terminal.start().await;
            let _ = terminal.upload(10).await;
            let visit = hall.ok("GET", "visit", json!({})).await;
            if visit["tests"][0]["readings"].as_u64() >= Some(1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LONG, seen).await.expect("the punch was not seen");
    hall.stop().await;
}
