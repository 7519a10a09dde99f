//! The server against the simulated terminal, over loopback HTTP.

use std::net::SocketAddr;

use jiff::{civil::date, tz::TimeZone};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    attendance::{
        push::{ClockOrder, PushTerminal},
        zk::records::Punch,
    },
    clock::{SystemLocal, SystemMonotonic},
    simulator::push::{PushDevice, PushFault},
};

struct Rig {
    server: PushServer,
    stamps: Arc<MemoryStamps>,
    address: SocketAddr,
    events: mpsc::Receiver<DriverEvent>,
    cancel: CancellationToken,
    running: JoinHandle<()>,
}

const SN: &str = "CDEMO0001";

async fn rig(change: impl FnOnce(&mut PushConfig), durable: Duration, silent: Duration) -> Rig {
    let terminal = PushTerminal {
        position: "h-A01-attendance".into(),
        serial: SN.into(),
        comm_key: None,
        address: None,
    };
    let mut config = PushConfig::new(vec![terminal], 480);
    change(&mut config);
    let stamps = Arc::new(MemoryStamps::default());
    let local = Arc::new(SystemLocal(TimeZone::UTC));
    let keeper: Arc<dyn Stamps> = Arc::clone(&stamps) as Arc<dyn Stamps>;
    let server = PushServer::new(config, keeper, local).limits(durable, silent);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, events) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let running =
        tokio::spawn(server.clone().run(listener, Arc::new(SystemMonotonic), sender, cancel.clone()));
    Rig { server, stamps, address, events, cancel, running }
}

async fn usual() -> Rig {
    rig(|_| {}, Duration::from_secs(10), Duration::from_secs(60)).await
}

fn punches(count: i64) -> Vec<Punch> {
    let start = date(2026, 11, 1).at(8, 0, 0, 0);
    (0..count)
        .map(|n| Punch {
            employee: (1001 + n % 7).to_string(),
            at: start + jiff::Span::new().minutes(n),
            verify: [1, 0, 2, 15][n as usize % 4],
            state: (n % 2) as u8,
        })
        .collect()
}

impl Rig {
    fn device(&self, punches: Vec<Punch>) -> PushDevice {
        let mut device = PushDevice::new(SN, self.address, "0");
        punches.into_iter().for_each(|punch| device.punch(punch));
        device
    }

    async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("in time")
            .expect("runs")
    }

    async fn reading(&mut self) -> (Punch, Receipt) {
        loop {
            if let DriverEvent::Reading(Reading { fact, receipt, .. }) = self.event().await {
                let Fact::Punch { employee, at, verify, state, live: false } = fact else {
                    panic!("{fact:?}")
                };
                return (Punch { employee, at, verify, state }, receipt);
            }
        }
    }

    /// Stores what comes while `work` goes on.
    async fn storing<T>(&mut self, work: impl Future<Output = T>) -> (T, Vec<Punch>) {
        tokio::pin!(work);
        let mut stored = Vec::new();
        loop {
            tokio::select! {
                biased;
                (punch, receipt) = self.reading() => {
                    receipt.durable();
                    stored.push(punch);
                }
                done = &mut work => return (done, stored),
            }
        }
    }

    async fn stop(self) {
        self.cancel.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test]
async fn a_backlog_comes_once_and_is_acknowledged_by_its_size() {
    let mut rig = usual().await;
    let mut device = rig.device(punches(2500));
    let told = device.start().await.unwrap();
    assert!(told.head.to_ascii_lowercase().contains("\r\ndate: "), "{}", told.head);
    assert!(told.body.contains("\nATTLOGStamp=None\n"), "{}", told.body);
    let (_, stored) = rig
        .storing(async {
            while device.waiting() > 0 {
                let answer = device.upload(1000).await.unwrap();
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        })
        .await;
    assert_eq!(stored, punches(2500));
    assert_eq!(rig.stamps.stamp(SN).as_deref(), Some("3"));
    assert!(device.start().await.unwrap().body.contains("\nATTLOGStamp=3\n"));
    assert_eq!(rig.server.counters().good(), 2500);
    rig.stop().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_on_disk() {
    let mut rig = usual().await;
    let mut device = rig.device(punches(1));
    let uploading = tokio::spawn(async move {
        let answer = device.upload(10).await.unwrap();
        (device, answer)
    });
    let (_, receipt) = rig.reading().await;
    tokio::task::yield_now().await;
    assert!(!uploading.is_finished());
    // Not stored: 503, and the same again later.
    drop(receipt);
    let (mut device, answer) = uploading.await.unwrap();
    assert_eq!((answer.status, device.waiting(), rig.stamps.stamp(SN)), (503, 1, None));
    let (answer, stored) = rig.storing(device.upload(10)).await;
    assert_eq!((answer.unwrap().body.as_str(), stored.len()), ("OK:1\n", 1));
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_disk_is_answered_in_time() {
    let mut rig = rig(|_| {}, Duration::from_millis(100), Duration::from_secs(60)).await;
    let mut device = rig.device(punches(1));
    let uploading = tokio::spawn(async move { device.upload(10).await.unwrap().status });
    let (_, receipt) = rig.reading().await;
    assert_eq!(uploading.await.unwrap(), 503);
    drop(receipt);
    rig.stop().await;
}

#[tokio::test]
async fn uploads_that_are_cut_sent_again_or_partly_unreadable_count_once() {
    let mut rig = usual().await;
    let mut device = rig.device(punches(6));
    device.fault(PushFault::HalfBody);
    assert!(device.upload(2).await.is_err());
    // The terminal hangs up before it hears; what it sent is taken, and not taken again.
    device.fault(PushFault::HangUp);
    assert!(device.upload(2).await.is_err());
    let (first, stored) = (rig.reading().await, rig.reading().await);
    first.1.durable();
    stored.1.durable();
    assert_eq!([first.0, stored.0], punches(2)[..]);
    let (answer, again) = rig.storing(device.upload(2)).await;
    assert_eq!((answer.unwrap().body.as_str(), again.len()), ("OK:2\n", 0));
    device.fault(PushFault::Again);
    let (_, stored) = rig.storing(device.upload(2)).await;
    assert_eq!(stored, punches(4)[2..]);
    device.fault(PushFault::BadLine);
    let (answer, stored) = rig.storing(device.upload(2)).await;
    assert_eq!((answer.unwrap().body.as_str(), stored), ("OK:3\n", punches(6)[4..].to_vec()));
    assert_eq!((device.waiting(), rig.server.counters().unmatched()), (0, 1));
    rig.stop().await;
}

#[tokio::test]
async fn health_follows_the_calls() {
    let mut rig = rig(|_| {}, Duration::from_secs(5), Duration::from_millis(400)).await;
    let mut device = rig.device(vec![]);
    let mut health = async || loop {
        if let DriverEvent::Health { health, .. } = rig.event().await {
            return health;
        }
    };
    assert!(matches!(health().await, Health::Down { .. }));
    device.start().await.unwrap();
    assert_eq!(health().await, Health::Up);
    assert!(matches!(health().await, Health::Silent { .. }));
    device.poll().await.unwrap();
    assert_eq!(health().await, Health::Up);
    rig.stop().await;
}

#[tokio::test]
async fn limits_of_http() {
    let rig = rig(|c| c.clock = ClockOrder::Packed, Duration::from_secs(5), Duration::from_secs(60)).await;
    let device = rig.device(vec![]);
    let upload = format!("/iclock/cdata?SN={SN}&table=ATTLOG&Stamp=1");
    assert_eq!(device.call("POST", &upload, &vec![b'x'; MAX_BODY + 1]).await.unwrap().status, 413);
    assert_eq!(device.call("PUT", &upload, b"").await.unwrap().status, 405);
    assert!(device.poll().await.unwrap().body.starts_with("C:T"));
    let stranger = PushDevice::new("STRANGER", rig.address, "0");
    assert_eq!(stranger.poll().await.unwrap().status, 403);
    let callers = rig.server.callers();
    assert_eq!(callers.iter().filter(|c| c.allowed).count(), 1);
    assert_eq!(callers.iter().filter(|c| c.serial == "STRANGER").count(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn who_calls_from_elsewhere_is_hung_up_before_it_is_heard() {
    let elsewhere = |config: &mut PushConfig| config.allow = vec!["10.0.0.0/8".parse().unwrap()];
    let rig = rig(elsewhere, Duration::from_secs(10), Duration::from_secs(60)).await;
    assert!(rig.device(punches(1)).start().await.is_err());
    assert!(rig.server.callers().is_empty());
    rig.cancel.cancel();
    tokio::time::timeout(Duration::from_secs(20), rig.running).await.unwrap().unwrap();
}
