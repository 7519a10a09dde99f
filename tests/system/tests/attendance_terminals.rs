//! Clients of attendance terminals that are not ours read the simulated terminal, and our driver reads the same (issue "Real
//! window hardware", "What it must show", 2): pyzk on TCP and UDP with and without a comm key, zkteco-js, node-zklib.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use device_drivers::{
    attendance::zk::{
        NameEncoding, TerminalAddress, TerminalConfig, TerminalDriver, Visit,
        probe::{probe, read_users},
        records::{Punch, RecordSize},
        users::UserSize,
    },
    clock::{LocalClock, SystemLocal, SystemMonotonic},
    port::{TcpPort, tcp::TcpConfig},
    reading::{DriverEvent, Fact},
    simulator::attendance::{Terminal, TerminalSetup},
};
use jiff::{civil::date, tz::TimeZone};
use serde_json::{Value, json};
use system_tests::{peer::python, stage::workspace};
use tokio::{
    net::{TcpListener, UdpSocket},
    process::Command,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// Records: more than one chunk on TCP and many on UDP.
const MANY: usize = 2500;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a peer prints, within a minute; it is killed when that is over.
async fn said(program: &Path, arguments: &[&str]) -> Result<Value> {
    let asked = Command::new(program)
        .args(arguments)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, asked).await.context("the peer took too long")??;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with('{'));
    let line = line.with_context(|| {
        format!("{arguments:?}: {} {text} {}", output.status, String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(serde_json::from_str(line)?)
}

fn script(name: &str) -> PathBuf {
    workspace().join("tests/system/peers").join(name)
}

fn local() -> Arc<dyn LocalClock> {
    Arc::new(SystemLocal(TimeZone::UTC))
}

fn punches(count: usize) -> Vec<Punch> {
    let start = date(2026, 2, 20).at(8, 0, 0, 0);
    let of = |n: usize| Punch {
        employee: (1001 + n % 40).to_string(),
        at: start + jiff::Span::new().seconds(n as i64 * 97),
        verify: [1, 0, 2, 15][n % 4],
        state: (n % 6) as u8,
    };
    (0..count).map(of).collect()
}

fn setup(comm_key: u32, record_size: RecordSize, user_size: UserSize) -> TerminalSetup {
    TerminalSetup {
        comm_key,
        record_size,
        user_size,
        users: (0..40).map(|n| (1001 + n).to_string()).collect(),
        names: (0..40).map(|n| format!("张三{n}")).collect(),
        pace: Duration::from_millis(20),
        ..TerminalSetup::default()
    }
}

/// A terminal with `count` records on TCP and UDP, until the test ends.
async fn terminal(setup: TerminalSetup, count: usize) -> Result<(Terminal, SocketAddr, SocketAddr)> {
    let terminal = Terminal::new(setup, local());
    terminal.seed(punches(count));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let addresses = (listener.local_addr()?, socket.local_addr()?);
    let (tcp, udp) = (terminal.clone(), terminal.clone());
    tokio::spawn(async move { tcp.serve(listener, CancellationToken::new()).await });
    tokio::spawn(async move { udp.serve_udp(socket, CancellationToken::new()).await });
    Ok((terminal, addresses.0, addresses.1))
}

/// What our own driver reads of the log.
async fn ours(comm_key: u32, tcp: SocketAddr, udp: Option<SocketAddr>, count: usize) -> Result<Vec<Punch>> {
    let config = TerminalConfig::new("h-A01-attendance".into(), comm_key);
    let driver = match udp {
        Some(address) => TerminalDriver::udp(config, address, local()),
        None => {
            let port = TcpPort::new(TcpConfig { address: tcp.to_string() });
            TerminalDriver::new(config, Box::new(port), local())
        }
    };
    let (sender, mut events) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
    let mut read = Vec::new();
    while read.len() < count {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await?.context("the driver ended")?;
        if let DriverEvent::Reading(reading) = event
            && let Fact::Punch { employee, at, verify, state, live: false } = reading.fact
        {
            reading.receipt.durable();
            read.push(Punch { employee, at, verify, state });
        }
    }
    cancel.cancel();
    driving.await?;
    Ok(read)
}

fn full(punches: &[Punch]) -> Value {
    let row = |p: &Punch| json!([p.employee, p.at.to_string(), p.verify, p.state]);
    punches.iter().map(row).collect()
}

#[tokio::test]
async fn pyzk_and_our_driver_read_the_same() -> Result<()> {
    let python = python("zk")?;
    let script = script("zk_reader.py");
    for (udp, comm_key, record_size, user_size, count) in [
        (false, 12345, RecordSize::Forty, UserSize::SeventyTwo, MANY),
        (true, 12345, RecordSize::Forty, UserSize::SeventyTwo, MANY),
        (false, 0, RecordSize::Sixteen, UserSize::TwentyEight, MANY),
        (true, 0, RecordSize::Eight, UserSize::TwentyEight, 90),
        (false, 999_999, RecordSize::Eight, UserSize::SeventyTwo, 20),
    ] {
        let case = format!("udp {udp} key {comm_key} {record_size:?} {user_size:?} {count}");
        let (terminal, tcp, datagrams) = terminal(setup(comm_key, record_size, user_size), count).await?;
        let port = if udp { datagrams.port() } else { tcp.port() }.to_string();
        let key = comm_key.to_string();
        let script = script.to_string_lossy();
        let mut arguments = vec![script.as_ref(), "--port", &port, "--comm-key", &key];
        arguments.extend(udp.then_some("--udp"));
        let theirs = said(&python, &arguments).await.context(case.clone())?;
        let read = ours(comm_key, tcp, udp.then_some(datagrams), count).await?;
        ensure!(read == punches(count), "{case}: our driver read {} records", read.len());
        ensure!(theirs["records"] == full(&read), "{case}: pyzk reads other records");
        ensure!(theirs["serial"] == "CDEMO0001", "{case}: {}", theirs["serial"]);
        let address = if udp { TerminalAddress::udp(datagrams) } else { TerminalAddress::tcp(tcp) };
        let visit = Visit::new(address, Some(comm_key));
        let users = read_users(&visit, NameEncoding::Gbk).await?;
        let rows: Value = users.iter().map(|u| json!([u.index, u.number, u.name])).collect();
        ensure!(users.len() == 40 && theirs["users"] == rows, "{case}: {} / {rows}", theirs["users"]);
        let probed = probe(&visit, local().as_ref()).await?;
        ensure!(theirs["firmware"] == json!(probed.firmware), "{case}: {probed:?}");
        ensure!(terminal.is_enabled(), "{case}: left disabled");
        println!("pyzk and our driver, {case}: {count} records, 40 users with names in GBK, the same");
    }
    Ok(())
}

#[tokio::test]
async fn pyzk_hears_live_events() -> Result<()> {
    let (terminal, tcp, _) = terminal(setup(0, RecordSize::Forty, UserSize::SeventyTwo), 3).await?;
    let (script, port) = (script("zk_reader.py"), tcp.port().to_string());
    let puncher = terminal.clone();
    let punching = tokio::spawn(async move {
        let mut made = Vec::new();
        while made.len() < 2 {
            // Events are sent from the time they are asked for.
            if puncher.requests().contains_key(&500) {
                made.extend(puncher.punch("1007", 1, made.len() as u8));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        made
    });
    let script = script.to_string_lossy();
    let theirs = said(&python("zk")?, &[&script, "--port", &port, "--live", "2"]).await?;
    ensure!(theirs["live"] == full(&punching.await?), "{}", theirs["live"]);
    Ok(())
}

#[tokio::test]
async fn two_libraries_of_node_and_our_driver_read_the_same() -> Result<()> {
    let script = script("zk_reader.mjs");
    for library in ["zkteco-js", "node-zklib"] {
        let installed = workspace().join("tests/system/peers/node_modules").join(library);
        ensure!(installed.is_dir(), "{library} is not installed: run scripts/setup test");
        // node-zklib has no way to give a comm key; zkteco-js reads records of 40 bytes only.
        let (terminal, tcp, _) = terminal(setup(0, RecordSize::Forty, UserSize::SeventyTwo), MANY).await?;
        let arguments = [script.as_os_str(), OsStr::new(library)].map(|a| a.to_string_lossy());
        let port = tcp.port().to_string();
        let theirs = said(Path::new("node"), &[&arguments[0], &arguments[1], &port]).await?;
        let read = ours(0, tcp, None, MANY).await?;
        let records: Value = read.iter().map(|p| json!([p.employee, p.at.to_string()])).collect();
        ensure!(theirs["records"] == records, "{library} reads other records");
        let users = read_users(&Visit::new(TerminalAddress::tcp(tcp), None), NameEncoding::Gbk).await?;
        let rows: Value = users.iter().map(|u| json!([u.index, u.number])).collect();
        ensure!(users.len() == 40 && theirs["users"] == rows, "{library}: {}", theirs["users"]);
        ensure!(
            (&theirs["info"]["userCounts"], &theirs["info"]["logCounts"]) == (&json!(40), &json!(MANY)),
            "{library}: {}",
            theirs["info"]
        );
        ensure!(terminal.is_enabled(), "{library}: left disabled");
        println!("{library} and our driver: {MANY} records and 40 users, the same");
    }
    Ok(())
}
