//! The driver against the simulated terminal, over loopback TCP and UDP.

use jiff::{civil::date, tz::TimeZone};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinHandle,
};

use super::*;
use crate::{
    attendance::zk::{link::Transport, packet::code, records::RecordSize},
    clock::{SystemLocal, SystemMonotonic},
    port::{TcpConfig, TcpPort},
    simulator::attendance::{Fault, Terminal, TerminalSetup},
};

struct Rig {
    terminal: Terminal,
    events: mpsc::Receiver<DriverEvent>,
    cancel: CancellationToken,
    driving: JoinHandle<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

const TIMEOUTS: SessionTimeouts =
    SessionTimeouts { request: Duration::from_millis(800), bulk: Duration::from_secs(3) };

async fn rig(setup: TerminalSetup, seed: Vec<Punch>, change: impl FnOnce(&mut TerminalConfig)) -> Rig {
    rig_on(Transport::Tcp, setup, seed, change).await
}

async fn rig_on(
    transport: Transport,
    setup: TerminalSetup,
    seed: Vec<Punch>,
    change: impl FnOnce(&mut TerminalConfig),
) -> Rig {
    let local: Arc<dyn LocalClock> = Arc::new(SystemLocal(TimeZone::UTC));
    let mut config = TerminalConfig::new("h-A01-attendance".into(), setup.comm_key);
    change(&mut config);
    let terminal = Terminal::new(setup, Arc::clone(&local));
    terminal.seed(seed);
    let cancel = CancellationToken::new();
    let (serve, until) = (terminal.clone(), cancel.clone());
    let (driver, serving) = match transport {
        Transport::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let port = Box::new(TcpPort::new(TcpConfig { address }));
            let serving = tokio::spawn(async move { serve.serve(listener, until).await });
            (TerminalDriver::new(config, port, local), serving)
        }
        Transport::Udp => {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let serving = tokio::spawn(async move { serve.serve_udp(socket, until).await });
            (TerminalDriver::udp(config, address, local), serving)
        }
    };
    let driver = driver.timeouts(TIMEOUTS);
    let (sender, events) = mpsc::channel(16);
    // The driver has a token of its own, so that it can take leave of a terminal that still answers.
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.child_token()));
    Rig { terminal, events, cancel, driving, serving }
}

fn setup() -> TerminalSetup {
    TerminalSetup { comm_key: 12345, users: vec!["1001".into(), "1002".into()], ..TerminalSetup::default() }
}

fn punches(count: i64) -> Vec<Punch> {
    let start = date(2026, 11, 1).at(8, 0, 0, 0);
    (0..count)
        .map(|n| Punch {
            employee: (1001 + n % 2).to_string(),
            at: start + jiff::Span::new().minutes(n),
            verify: 1,
            state: (n % 2) as u8,
        })
        .collect()
}

impl Rig {
    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("in time")
            .expect("runs")
    }

    async fn punch(&mut self) -> (Punch, bool) {
        loop {
            if let DriverEvent::Reading(Reading { fact, receipt, .. }) = self.event().await {
                receipt.durable();
                if let Fact::Punch { employee, at, verify, state, live } = fact {
                    return (Punch { employee, at, verify, state }, live);
                }
            }
        }
    }

    async fn health(&mut self, wanted: impl Fn(&Health) -> bool) -> Health {
        loop {
            if let DriverEvent::Health { health, .. } = self.event().await
                && wanted(&health)
            {
                return health;
            }
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.driving.await.unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

#[tokio::test]
async fn small_logs_of_every_record_size() {
    for transport in BOTH {
        for record_size in [RecordSize::Eight, RecordSize::Sixteen, RecordSize::Forty] {
            let setup = TerminalSetup { record_size, ..setup() };
            let mut rig = rig_on(transport, setup, punches(5), |_| {}).await;
            for expected in punches(5) {
                assert_eq!(rig.punch().await, (expected, false), "{record_size:?}");
            }
            assert!(rig.terminal.is_enabled());
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn a_large_log_comes_in_chunks_then_live_events() {
    for (transport, record_size) in [
        (Transport::Tcp, RecordSize::Forty),
        (Transport::Udp, RecordSize::Forty),
        (Transport::Udp, RecordSize::Eight),
    ] {
        let setup = TerminalSetup { record_size, ..setup() };
        let mut rig = rig_on(transport, setup, punches(5000), |_| {}).await;
        for expected in punches(5000) {
            assert_eq!(rig.punch().await, (expected, false), "{transport:?}");
        }
        // The log was read with the terminal disabled; a punch meanwhile is taken afterwards.
        while rig.terminal.punch("1002", 1, 1).is_none() {
            tokio::task::yield_now().await;
        }
        let (punch, live) = rig.punch().await;
        assert_eq!((punch.employee.as_str(), punch.state, live), ("1002", 1, true));
        assert_eq!(rig.terminal.log().last(), Some(&punch));
        rig.stop().await;
    }
}

#[tokio::test]
async fn datagrams_that_are_lost_damaged_or_doubled_are_asked_for_again() {
    let armed = [Fault::DropReply, Fault::DropDatagram, Fault::DuplicateReply, Fault::WrongChecksum];
    let mut rig = rig_on(Transport::Udp, setup(), punches(2000), |_| {}).await;
    for fault in armed.into_iter().chain([Fault::DisconnectInChunk]) {
        rig.terminal.fault(fault);
    }
    for expected in punches(2000) {
        assert_eq!(rig.punch().await, (expected, false));
    }
    assert!(rig.terminal.is_enabled());
    rig.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_set_where_that_is_wanted_and_only_there() {
    for (transport, set_clock) in [(Transport::Tcp, true), (Transport::Udp, true), (Transport::Tcp, false)] {
        let mut rig = rig_on(transport, setup(), vec![], |c| {
            c.set_clock = set_clock;
            c.keep_alive_s = 1;
        })
        .await;
        rig.health(|h| matches!(h, Health::ClockOffset { seconds: -1..=1 })).await;
        rig.terminal.set_clock_offset(-420);
        let off = rig.health(|h| matches!(h, Health::ClockOffset { .. })).await;
        assert!(matches!(off, Health::ClockOffset { seconds: -421..=-419 }), "{off:?}");
        if set_clock {
            let right = rig.health(|h| matches!(h, Health::ClockOffset { .. })).await;
            assert!(matches!(right, Health::ClockOffset { seconds: -1..=1 }), "{right:?}");
        }
        let requests = rig.terminal.requests();
        assert_eq!(requests.contains_key(&code::SET_TIME), set_clock);
        assert_eq!(requests.contains_key(&code::REFRESH_DATA), set_clock);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_terminal_is_never_left_disabled() {
    // Stopped in the middle of reading the log: the owner does not take readings, the terminal does not answer.
    for transport in BOTH {
        let mut rig = rig_on(transport, setup(), punches(3000), |_| {}).await;
        rig.health(|h| *h == Health::Up).await;
        while rig.terminal.is_enabled() {
            tokio::task::yield_now().await;
        }
        rig.driving.abort();
        let _ = (&mut rig.driving).await;
        tokio::time::timeout(Duration::from_secs(5), async {
            while !rig.terminal.is_enabled() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("enabled by the session that was dropped");
        rig.cancel.cancel();
        rig.serving.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn one_left_disabled_by_somebody_else_is_enabled() {
    let mut rig = rig(setup(), punches(1), |c| c.log_interval_s = 1000).await;
    rig.punch().await;
    rig.terminal.leave_disabled();
    rig.terminal.fault(Fault::Disconnect);
    rig.health(|h| matches!(h, Health::Down { .. })).await;
    rig.health(|h| *h == Health::Up).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while !rig.terminal.is_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn an_event_while_a_request_is_outstanding_is_kept_and_acknowledged() {
    let mut rig = rig(setup(), vec![], |c| c.keep_alive_s = 1).await;
    rig.health(|h| matches!(h, Health::ClockOffset { .. })).await;
    rig.terminal.fault(Fault::DuplicateReply);
    rig.terminal.fault(Fault::EventBeforeReply("1001".into()));
    // If the request was part of reading the log, the log says it too.
    let punch = loop {
        if let (punch, true) = rig.punch().await {
            break punch;
        }
    };
    assert_eq!(punch.employee, "1001");
    tokio::time::timeout(Duration::from_secs(5), async {
        while rig.terminal.events_acknowledged() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(rig.terminal.sessions(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn the_log_is_read_again_and_only_what_was_not_stored_is_told_again() {
    let mut rig = rig(setup(), punches(2), |c| c.log_interval_s = 1).await;
    let stored = rig.punch().await;
    // The second one is not stored.
    let lost = loop {
        if let DriverEvent::Reading(reading) = rig.event().await {
            break reading.fact;
        }
    };
    let again = rig.punch().await;
    assert_ne!(again, stored);
    assert!(matches!(lost, Fact::Punch { at, .. } if at == again.0.at));
    rig.stop().await;
}

#[tokio::test]
async fn the_clock_offset_is_told() {
    let mut rig = rig(setup(), vec![], |c| c.keep_alive_s = 1).await;
    let first = rig.health(|h| matches!(h, Health::ClockOffset { .. })).await;
    assert!(matches!(first, Health::ClockOffset { seconds: -1..=1 }), "{first:?}");
    rig.terminal.set_clock_offset(420);
    let then = rig.health(|h| matches!(h, Health::ClockOffset { .. })).await;
    assert!(matches!(then, Health::ClockOffset { seconds: 419..=421 }), "{then:?}");
    rig.stop().await;
}

#[tokio::test]
async fn faults_lead_to_a_new_conversation_and_nothing_is_lost() {
    for fault in [Fault::DisconnectInChunk, Fault::WrongChecksum, Fault::DropReply] {
        let mut rig = rig(setup(), vec![], |c| c.log_interval_s = 1).await;
        rig.health(|h| *h == Health::Up).await;
        rig.terminal.fault(fault.clone());
        rig.terminal.seed(punches(2000));
        rig.health(|h| matches!(h, Health::Down { .. })).await;
        let mut got = Vec::new();
        while got.len() < 2000 {
            got.push(rig.punch().await.0);
        }
        assert_eq!(got, punches(2000), "{fault:?}");
        assert!(rig.terminal.sessions() >= 2);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_wrong_comm_key_is_said() {
    let mut rig = rig(setup(), vec![], |c| c.comm_key = 54321).await;
    let health = rig.health(|h| matches!(h, Health::Down { .. })).await;
    assert!(matches!(&health, Health::Down { why } if why.contains("comm key")), "{health:?}");
    rig.stop().await;
}

#[tokio::test]
async fn only_what_is_new_is_told() {
    let local: Arc<dyn LocalClock> = Arc::new(SystemLocal(TimeZone::UTC));
    let terminal = Terminal::new(TerminalSetup::default(), Arc::clone(&local));
    terminal.seed(punches(10));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let cancel = CancellationToken::new();
    let serving = tokio::spawn({
        let (terminal, cancel) = (terminal.clone(), cancel.clone());
        async move { terminal.serve(listener, cancel).await }
    });
    let since = punches(10)[7].at;
    let driver = TerminalDriver::new(
        TerminalConfig::new("a".into(), 0),
        Box::new(TcpPort::new(TcpConfig { address })),
        local,
    )
    .since(Some(since));
    let (sender, events) = mpsc::channel(16);
    let driving = tokio::spawn(driver.run(Arc::new(SystemMonotonic), sender, cancel.clone()));
    let mut rig = Rig { terminal, events, cancel, driving, serving };
    assert_eq!(rig.punch().await.0, punches(10)[7]);
    assert_eq!(rig.punch().await.0, punches(10)[8]);
    rig.stop().await;
}
