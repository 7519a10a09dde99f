//! Visits and searches against the simulated terminal.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::{
    link::{TerminalAddress, Transport},
    probe::{Probe, Visit, probe, read_users, test_voice},
    search::{AddressRange, Search},
    session::{SessionError, SessionTimeouts},
    users::{NameEncoding, User, UserSize},
};
use crate::{
    clock::SystemLocal,
    simulator::attendance::{Terminal, TerminalSetup},
};

const TIMEOUTS: SessionTimeouts =
    SessionTimeouts { request: Duration::from_secs(2), bulk: Duration::from_secs(5) };

fn local() -> Arc<SystemLocal> {
    Arc::new(SystemLocal(TimeZone::UTC))
}

/// A terminal that serves on both until the test ends.
async fn terminal(setup: TerminalSetup, ip: Ipv4Addr) -> (Terminal, [TerminalAddress; 2]) {
    let terminal = Terminal::new(setup, local());
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind((ip, 0)).await.unwrap();
    let datagrams = socket.local_addr().unwrap();
    let (on_tcp, on_udp) = (terminal.clone(), terminal.clone());
    tokio::spawn(async move { on_tcp.serve(listener, CancellationToken::new()).await });
    tokio::spawn(async move { on_udp.serve_udp(socket, CancellationToken::new()).await });
    (terminal, [TerminalAddress::tcp(address), TerminalAddress::udp(datagrams)])
}

fn many(count: usize) -> TerminalSetup {
    TerminalSetup {
        comm_key: 12345,
        users: (0..count).map(|n| (1001 + n).to_string()).collect(),
        names: (0..count).map(|n| format!("张{n}")).collect(),
        ..TerminalSetup::default()
    }
}

#[tokio::test]
async fn a_terminal_says_what_it_is() {
    let (terminal, addresses) = terminal(many(3), Ipv4Addr::LOCALHOST).await;
    terminal.set_clock_offset(420);
    for address in addresses {
        let visit = Visit { address, comm_key: None, timeouts: TIMEOUTS };
        let said = probe(&visit, local().as_ref()).await.unwrap();
        assert_eq!(said, Probe { needs_key: true, ..Probe::default() });
        let visit = Visit { comm_key: Some(12345), ..visit };
        let said = probe(&visit, local().as_ref()).await.unwrap();
        assert!(matches!(said.clock_offset_s, Some(419..=421)), "{said:?}");
        let expected = Probe {
            needs_key: false,
            serial: Some("CDEMO0001".into()),
            model: Some("Simulated K40".into()),
            firmware: Some("Ver 6.60 Sep 19 2019".into()),
            records: Some(0),
            record_capacity: Some(100_000),
            users: Some(3),
            clock_offset_s: said.clock_offset_s,
        };
        assert_eq!(said, expected);
        let wrong = probe(&Visit { comm_key: Some(1), ..visit.clone() }, local().as_ref()).await;
        assert!(matches!(wrong, Err(SessionError::Unauthorized)), "{wrong:?}");
        test_voice(&visit, 10).await.unwrap();
    }
    assert_eq!(terminal.voices(), [10, 10]);
}

#[tokio::test]
async fn users_small_and_large_in_both_sizes_and_code_pages() {
    for (count, user_size, name_encoding) in [
        (3, UserSize::SeventyTwo, NameEncoding::Gbk),
        (3, UserSize::TwentyEight, NameEncoding::Utf8),
        (1500, UserSize::TwentyEight, NameEncoding::Gbk),
        (1500, UserSize::SeventyTwo, NameEncoding::Utf8),
    ] {
        let setup = TerminalSetup { user_size, name_encoding, ..many(count) };
        let (terminal, addresses) = terminal(setup, Ipv4Addr::LOCALHOST).await;
        for address in addresses {
            let visit = Visit { address, comm_key: Some(12345), timeouts: TIMEOUTS };
            let users = read_users(&visit, name_encoding).await.unwrap();
            let expected: Vec<User> = (0..count)
                .map(|n| User {
                    index: n as u16 + 1, number: (1001 + n).to_string(), name: format!("张{n}")
                })
                .collect();
            assert_eq!(users, expected);
            assert!(terminal.is_enabled());
        }
    }
}

#[tokio::test]
async fn nothing_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = TerminalAddress::tcp(listener.local_addr().unwrap());
    drop(listener);
    let visit = Visit { address, comm_key: None, timeouts: TIMEOUTS };
    assert!(matches!(test_voice(&visit, 0).await, Err(SessionError::Io(_))));
}

#[tokio::test]
async fn a_search_finds_the_terminals_of_its_range_and_says_which_ask_for_a_key() {
    // The whole of 127/8 is this machine: three addresses, one port.
    let ip = |last| Ipv4Addr::new(127, 77, 0, last);
    let (_open, [first, _]) = terminal(TerminalSetup::default(), ip(3)).await;
    let port = first.address.port();
    let locked = Terminal::new(many(1), local());
    let listener = TcpListener::bind((ip(5), port)).await.unwrap();
    tokio::spawn(async move { locked.serve(listener, CancellationToken::new()).await });
    let old = Terminal::new(TerminalSetup::default(), local());
    let socket = UdpSocket::bind((ip(9), port)).await.unwrap();
    tokio::spawn(async move { old.serve_udp(socket, CancellationToken::new()).await });
    let range: AddressRange = "127.77.0.1-127.77.0.20".parse().unwrap();
    let search = Search { port, ..Search::new(range) };
    let found = search.run(local(), CancellationToken::new()).await;
    let brief: Vec<_> = found.iter().map(|f| (f.address.ip(), f.transport, f.probe.needs_key)).collect();
    assert_eq!(
        brief,
        [
            (ip(3).into(), Transport::Tcp, false),
            (ip(5).into(), Transport::Tcp, true),
            (ip(9).into(), Transport::Udp, false)
        ]
    );
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert!(search.run(local(), cancelled).await.is_empty());
}
