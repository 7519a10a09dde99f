//! A small centre for tests: a tree, people, and a journal that writes events as an edge would.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use control_protocol::{
    CaseId, Event, Happening, NodeId, StoredEvent, UtcMillis,
    chain::ChainEnd,
    event::{ClockQuality, VERSION},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Centre, Clock,
    access::Doorkeeper,
    areas::import,
    centre::Parts,
    live::Live,
    nodes::Nodes,
    params, projections, statistics,
    store::{Sql, Store, StoreError, Tx},
};

/// 2026-11-22T01:00:00Z.
pub(crate) const START: i64 = 1_795_309_200_000;
/// What everybody in the scene signs in with.
pub(crate) const PASSWORD: &str = "a long enough phrase";

const TREE: &str = r#"
[[area]]
id = "450103"
parent = "450100"
name = "青秀区"
level = "county"
[[area]]
id = "450100"
parent = "450000"
name = "南宁市"
level = "city"
[[area]]
id = "450000"
name = "广西壮族自治区"
level = "region"
[[area]]
id = "450102"
parent = "450100"
name = "兴宁区"
level = "county"
[[hall]]
id = "450103-01"
area = "450103"
name = "青秀区政务服务中心"
[[hall]]
id = "450102-01"
area = "450102"
name = "兴宁区政务服务中心"
[[window]]
hall = "450103-01"
number = 1
name = "综合窗口"
businesses = ["社保", "医保"]
[[window]]
hall = "450103-01"
number = 2
name = "社保窗口"
businesses = ["社保"]
[[window]]
hall = "450102-01"
number = 1
name = "税务窗口"
businesses = ["税务"]
[[staff]]
hall = "450103-01"
number = "1001"
name = "王老师"
"#;

/// The scene.
pub(crate) struct Scene {
    pub(crate) centre: Centre,
    now: Arc<AtomicI64>,
    folder: tempfile::TempDir,
}

impl Scene {
    /// A centre with a tree and somebody of every role: `admin`, `region`, `county` (450103), `other` (450102),
    /// `manager` (hall 450103-01), `hr`, `tech`.
    pub(crate) async fn new() -> Self {
        let scene = Self::within(tempfile::tempdir().unwrap()).await;
        let people = [
            ("admin", "administrator", "450000"),
            ("region", "supervisor", "450000"),
            ("county", "supervisor", "450103"),
            ("other", "supervisor", "450102"),
            ("manager", "hall_manager", "450103-01"),
            ("hr", "hr", "450000"),
            ("tech", "technician", "450000"),
        ];
        let mut file = TREE.to_owned();
        for (name, role, scope) in people {
            file.push_str(&format!(
                "[[user]]\nname = \"{name}\"\npassword = \"{PASSWORD}\"\nrole = \"{role}\"\nscope = \"{scope}\"\nmust_change = false\n"
            ));
        }
        let file = toml::from_str(&file).unwrap();
        let imported = import::take(&scene.centre.store, file, scene.centre.clock.now()).await.unwrap();
        assert_eq!((imported.areas, imported.halls, imported.windows, imported.users), (4, 2, 3, 7));
        scene
    }

    /// A centre over what lies in `folder`.
    async fn within(folder: tempfile::TempDir) -> Self {
        let store = Store::open_sqlite(&folder.path().join("centre.db")).unwrap();
        let now = Arc::new(AtomicI64::new(START));
        let clock = Clock::of({
            let now = now.clone();
            move || UtcMillis(now.load(Ordering::Relaxed))
        });
        let stop = CancellationToken::new();
        let nodes = Nodes::open(folder.path(), store.clone(), clock.clone()).await.unwrap();
        let live = Live::new(nodes.clone(), stop.clone());
        let centre = Centre::new(Parts {
            data: folder.path().to_owned(),
            store,
            clock,
            doorkeeper: Doorkeeper::new().unwrap(),
            nodes,
            live,
            evidence: crate::evidence::Evidence::new(
                crate::evidence::key::EvidenceKey::generate().unwrap(),
                folder.path().into(),
            ),
            viewings: crate::recordings::Viewings::default(),
            kept: crate::recordings::kept::Kept::new(
                folder.path().join(crate::recordings::kept::FOLDER),
                crate::recordings::kept::Limits::default(),
            ),
            copies: crate::recordings::copy::Copies::new(1),
            outlooks: crate::queue::Outlooks::default(),
            webhooks: crate::webhooks::Secrets::open(folder.path()).unwrap(),
            stop,
        });
        Self { centre, now, folder }
    }

    /// A centre of its own with everything that is in this one, which goes on.
    pub(crate) async fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = rusqlite::Connection::open(self.folder.path().join("centre.db")).unwrap();
        let to = folder.path().join("centre.db");
        database.execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
        std::fs::create_dir(folder.path().join("ca")).unwrap();
        for file in std::fs::read_dir(self.folder.path().join("ca")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join("ca").join(file.file_name())).unwrap();
        }
        let copy = Self::within(folder).await;
        copy.now.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::Relaxed);
    }

    /// Stores and projects events in order, as the intake does.
    pub(crate) async fn take(&self, events: Vec<StoredEvent>) {
        self.centre
            .store
            .write("events", move |tx| {
                let mut sums = statistics::Gathered::default();
                for stored in &events {
                    record(tx, stored, &mut sums)?;
                }
                sums.write(tx.sql)
            })
            .await
            .unwrap();
    }
}

/// Stores an event and lets the rooms have it.
pub(crate) fn store_event(tx: &mut Tx<'_>, stored: &StoredEvent) -> Result<(), StoreError> {
    let mut sums = statistics::Gathered::default();
    record(tx, stored, &mut sums)?;
    sums.write(tx.sql)
}

/// The same, but for the sums, which the caller writes.
fn record(tx: &mut Tx<'_>, stored: &StoredEvent, sums: &mut statistics::Gathered) -> Result<(), StoreError> {
    let event = &stored.event;
    tx.execute(
        "INSERT INTO events (node, epoch, seq, prev, hash, at, hall, win, device, case_id, kind, bytes, received_at, projected) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $6, 1)",
        params![
            event.node, event.epoch, event.seq, event.prev, stored.digest, event.at, event.hall, event.window,
            event.device, event.case, event.happening.kind(), stored.bytes
        ],
    )?;
    projections::project_all(tx.sql, stored, sums, &mut tx.changes)
}

/// Writes events of one hall's node, one second apart unless told otherwise.
pub(crate) struct Journal {
    hall: &'static str,
    end: ChainEnd,
    /// When the next event happens.
    pub(crate) at: i64,
}

impl Journal {
    pub(crate) fn of(hall: &'static str) -> Self {
        Self { hall, end: ChainEnd::start(7), at: START }
    }

    /// The hall's case with this serial number.
    pub(crate) fn case(&self, serial: u32) -> CaseId {
        CaseId::new(&self.hall.parse().unwrap(), jiff::civil::date(2026, 11, 22), serial).unwrap()
    }

    /// The next event: at window `window` (0: none), in case `serial` (0: none).
    pub(crate) fn event(&mut self, window: u32, serial: u32, happening: Happening) -> StoredEvent {
        self.by_device(window, serial, None, happening)
    }

    /// The same, reported by a device.
    pub(crate) fn by_device(
        &mut self,
        window: u32,
        serial: u32,
        device: Option<&str>,
        happening: Happening,
    ) -> StoredEvent {
        let node: NodeId = format!("hall-{}", self.hall).parse().unwrap();
        let stored = StoredEvent::seal(Event {
            node,
            epoch: 7,
            seq: self.end.seq + 1,
            prev: self.end.digest,
            at: UtcMillis(self.at),
            mono_us: 1,
            boot: "b".into(),
            clock: ClockQuality::Synchronised,
            hall: self.hall.parse().unwrap(),
            window: (window > 0).then(|| format!("{}-W{window:02}", self.hall).parse().unwrap()),
            device: device.map(str::to_owned),
            case: (serial > 0).then(|| self.case(serial)),
            happening,
            v: VERSION,
        })
        .unwrap();
        self.end.follow(&stored).unwrap();
        self.at += 1000;
        stored
    }
}
