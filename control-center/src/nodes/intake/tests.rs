use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use control_protocol::{
    CaseId, Digest, Event, HallId, Happening, NodeId, StoredEvent, UtcMillis,
    chain::ChainEnd,
    event::{ClockQuality, EndedBy, VERSION},
    intake::{Answer, Quarantine, pack},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Clock, store::Store};

const NOW: i64 = 1_795_000_000_000;

struct Intake {
    nodes: Nodes,
    clock: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

fn node() -> NodeId {
    "hall-450103-01".parse().unwrap()
}

fn hall() -> HallId {
    "450103-01".parse().unwrap()
}

fn identity() -> NodeIdentity {
    NodeIdentity { node: node(), hall: hall(), serial: "01".into(), not_after: UtcMillis(i64::MAX) }
}

impl Intake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("centre.db")).unwrap();
        let clock = Arc::new(AtomicI64::new(NOW));
        let held = clock.clone();
        let clock_of = Clock::of(move || UtcMillis(held.load(Ordering::Relaxed)));
        let nodes = Nodes::open(folder.path(), store, clock_of).await.unwrap();
        nodes
            .store()
            .write("test", |tx| {
                tx.execute(
                    "INSERT INTO areas (id, parent, name, level, path) VALUES ('450103', NULL, 'x', 'county', '/450103/')",
                    params![],
                )?;
                tx.execute(
                    "INSERT INTO halls (id, area, name, path) VALUES ('450103-01', '450103', 'h', '/450103/450103-01/')",
                    params![],
                )?;
                tx.execute(
                    "INSERT INTO windows (id, hall, number, name) VALUES ('450103-01-W07', '450103-01', 7, 'w')",
                    params![],
                )?;
                tx.execute(
                    "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ($1, '450103-01', '1', 0)",
                    params![node()],
                )?;
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        Self { nodes, clock, _folder: folder }
    }

    async fn post<'a>(&self, lines: impl IntoIterator<Item = &'a [u8]>) -> Answer {
        take(&self.nodes, &identity(), pack(lines).unwrap().into()).await.unwrap()
    }

    async fn post_events(&self, events: &[StoredEvent]) -> Answer {
        self.post(events.iter().map(|event| &event.bytes[..])).await
    }

    async fn text(&self, statement: &'static str) -> Vec<String> {
        self.nodes
            .store()
            .read(move |sql| {
                let rows = sql.query(statement, params![])?;
                Ok::<_, StoreError>(rows.into_iter().map(|row| format!("{row:?}")).collect())
            })
            .await
            .unwrap()
    }

    /// Everything that must be the same however the events came.
    async fn record(&self) -> Vec<String> {
        let mut all = Vec::new();
        for statement in [
            "SELECT node, epoch, seq, prev, hash, at, hall, win, case_id, kind, bytes FROM events ORDER BY node, epoch, seq",
            "SELECT node, epoch, seq, digest FROM node_marks ORDER BY node, epoch",
            "SELECT node, epoch, seq, digest, bytes FROM dead_events ORDER BY node, digest",
            "SELECT * FROM waiting_events",
            "SELECT * FROM tickets ORDER BY case_id",
            "SELECT * FROM cases ORDER BY case_id",
            "SELECT * FROM window_states ORDER BY win",
            "SELECT * FROM coverage ORDER BY hall",
            "SELECT * FROM case_epochs ORDER BY case_id",
            "SELECT quarantined FROM nodes",
        ] {
            all.push(statement.to_owned());
            all.extend(self.text(statement).await);
        }
        all
    }

    async fn flag(&self) -> Option<String> {
        let row = self
            .nodes
            .store()
            .read(|sql| sql.query_one("SELECT quarantined FROM nodes", params![]))
            .await
            .unwrap();
        row.unwrap().get(0).unwrap()
    }
}

fn mark(answer: &Answer) -> (u64, u64) {
    let end = answer.marks[0].committed.unwrap();
    (end.epoch, end.seq)
}

fn case(serial: u32) -> CaseId {
    CaseId::new(&hall(), jiff::civil::date(2026, 11, 22), serial).unwrap()
}

fn sealed(end: &mut ChainEnd, case: Option<CaseId>, happening: Happening) -> StoredEvent {
    let seq = end.seq + 1;
    let event = Event {
        node: node(),
        epoch: end.epoch,
        seq,
        prev: end.digest,
        at: UtcMillis(NOW + seq as i64 * 1000),
        mono_us: seq,
        boot: "b".into(),
        clock: ClockQuality::Synchronised,
        hall: hall(),
        window: Some("450103-01-W07".parse().unwrap()),
        device: None,
        case,
        happening,
        v: VERSION,
    };
    let stored = StoredEvent::seal(event).unwrap();
    end.seq = seq;
    end.digest = stored.digest;
    stored
}

/// `cases` services, five events each.
fn journal(epoch: u64, cases: u32, first: u32) -> (Vec<StoredEvent>, ChainEnd) {
    let mut end = ChainEnd::start(epoch);
    let mut events = Vec::new();
    for serial in first..first + cases {
        let (ticket, business) = (format!("A{serial:03}"), "社保".to_owned());
        for happening in [
            Happening::TicketIssued {
                ticket: ticket.clone(),
                business: business.clone(),
                printed_waiting: None,
                priority: 0,
            },
            Happening::CaseOpened { ticket: ticket.clone(), business: business.clone() },
            Happening::TicketCalled { ticket: ticket.clone(), business, by_number: false },
            Happening::ServiceStarted { ticket: ticket.clone() },
            Happening::CaseClosed { ticket, ended_by: EndedBy::NextCall, grade: None, accurate: true },
        ] {
            events.push(sealed(&mut end, Some(case(serial)), happening));
        }
    }
    (events, end)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn a_batch_moves_the_mark_and_a_second_time_changes_nothing() {
    let intake = Intake::new().await;
    let (events, end) = journal(5, 3, 1);
    let answer = intake.post_events(&events).await;
    assert_eq!(answer.marks[0].committed, Some(end));
    assert_eq!(answer.poisoned, 0);
    let record = intake.record().await;
    assert_eq!(intake.post_events(&events).await, answer);
    assert_eq!(intake.post_events(&events[3..9]).await.marks[0].committed, Some(end));
    assert_eq!(intake.record().await, record);
    let asked = super::mark(&intake.nodes, &identity()).await.unwrap();
    assert_eq!(asked.marks, answer.marks);
    assert_eq!(intake.nodes.figures().duplicates.load(Ordering::Relaxed), 21);
}

#[tokio::test]
async fn waiting_events_wait_for_their_turn() {
    let intake = Intake::new().await;
    let (events, end) = journal(5, 3, 1);
    let answer = intake.post_events(&events[10..]).await;
    assert_eq!(mark(&answer), (5, 0));
    assert!(intake.text("SELECT * FROM events").await.is_empty());
    assert_eq!(mark(&intake.post_events(&events[..5]).await), (5, 5));
    assert_eq!(intake.post_events(&events[4..10]).await.marks[0].committed, Some(end));
    assert!(intake.text("SELECT * FROM waiting_events").await.is_empty());
    let straight = Intake::new().await;
    straight.post_events(&events).await;
    assert_eq!(intake.record().await, straight.record().await);
}

#[tokio::test]
async fn another_content_under_a_known_key_is_a_fork_and_the_record_goes_on() {
    let intake = Intake::new().await;
    let (events, _) = journal(5, 2, 1);
    intake.post_events(&events[..6]).await;
    let mut clone = ChainEnd { epoch: 5, seq: 4, digest: events[3].digest };
    let forged = [
        sealed(&mut clone, None, Happening::WindowOpened {}),
        sealed(&mut clone, None, Happening::WindowClosed {}),
        sealed(&mut clone, None, Happening::WindowClosed {}),
    ];
    let answer = intake.post_events(&forged).await;
    assert_eq!(answer.marks[0].quarantined, Some(Quarantine::Forked));
    assert_eq!(mark(&answer), (5, 6));
    // Further on, where no key collides, the hash of the event before tells.
    assert_eq!(intake.post_events(&forged[2..]).await.marks[0].quarantined, Some(Quarantine::Forked));
    assert_eq!(intake.flag().await.as_deref(), Some("forked"));
    assert_eq!(intake.text("SELECT digest FROM dead_events").await.len(), 2);
    // What follows the record is taken on.
    let answer = intake.post_events(&events[6..]).await;
    assert_eq!((mark(&answer), answer.marks[0].quarantined), ((5, 10), None));
    let asked = super::mark(&intake.nodes, &identity()).await.unwrap();
    assert_eq!(asked.marks[0].quarantined, Some(Quarantine::Forked));
    assert!(intake.nodes.lift_quarantine(node()).await.unwrap());
    assert_eq!(intake.flag().await, None);
}

#[tokio::test]
async fn an_event_ahead_that_does_not_follow_is_never_in_the_record() {
    let intake = Intake::new().await;
    let (events, _) = journal(5, 1, 1);
    let mut other = ChainEnd { epoch: 5, seq: 3, digest: Digest::of(b"another") };
    let forged = sealed(&mut other, None, Happening::WindowOpened {});
    intake.post_events(std::slice::from_ref(&forged)).await;
    let answer = intake.post_events(&events[..3]).await;
    assert_eq!((mark(&answer), answer.marks[0].quarantined), ((5, 3), Some(Quarantine::Forked)));
    assert_eq!(mark(&intake.post_events(&events[3..]).await), (5, 5));
    assert_eq!(intake.text("SELECT seq FROM events WHERE kind = 'window.opened'").await.len(), 0);
}

#[tokio::test]
async fn poison_never_blocks_the_line() {
    let intake = Intake::new().await;
    // The journal itself holds what this centre cannot read: the chain goes through it.
    let mut end = ChainEnd::start(9);
    let first = sealed(&mut end, None, Happening::WindowOpened {});
    let unknown = {
        let event = sealed(&mut end.clone(), None, Happening::WindowClosed {});
        let mut value = serde_json::to_value(&event.event).unwrap();
        value["kind"] = json!("window.invented");
        serde_json::to_vec(&value).unwrap()
    };
    end = ChainEnd { epoch: 9, seq: 2, digest: Digest::of(&unknown) };
    let third = sealed(&mut end, None, Happening::WindowPaused { reason: None });
    let torn = third.bytes[..150].to_vec();
    let noise: &[u8] = b"\x00\xFF{{{not an event";
    end = ChainEnd { epoch: 9, seq: 4, digest: Digest::of(noise) };
    let fifth = sealed(&mut end, None, Happening::WindowResumed {});
    let answer = intake.post([&first.bytes[..], &unknown, &torn, noise, &fifth.bytes]).await;
    assert_eq!((answer.marks[0].committed, answer.poisoned), (Some(end), 3));
    assert_eq!(answer.marks[0].quarantined, None);
    assert_eq!(intake.text("SELECT seq FROM events").await.len(), 2);
    assert_eq!(intake.text("SELECT seq FROM dead_events WHERE seq IN (2, 3, 4)").await.len(), 3);
    let record = intake.record().await;
    let again = intake.post([&first.bytes[..], &unknown, &torn, noise, &fifth.bytes]).await;
    assert_eq!(again.marks, answer.marks);
    assert_eq!(intake.record().await, record);
    // A batch with nothing in it that says where it belongs is what comes next.
    let answer = intake.post([&b"garbage"[..], b"more of it"]).await;
    assert_eq!((mark(&answer), answer.poisoned), ((9, 7), 2));
    assert_eq!(mark(&intake.post([&b"garbage"[..], b"more of it"]).await), (9, 7));
}

#[tokio::test]
async fn a_node_speaks_for_its_own_hall_alone() {
    let intake = Intake::new().await;
    let mut end = ChainEnd::start(9);
    let mut event = sealed(&mut end, None, Happening::WindowOpened {}).event;
    event.window = Some("450103-02-W01".parse().unwrap());
    let elsewhere = StoredEvent::seal(event.clone()).unwrap();
    event.window = None;
    event.node = "hall-450103-02".parse().unwrap();
    let foreign = StoredEvent::seal(event).unwrap();
    let answer = intake.post([&elsewhere.bytes[..], &foreign.bytes]).await;
    // The first keeps its place in the journal, the other has none there.
    assert_eq!((mark(&answer), answer.poisoned), ((9, 1), 2));
    assert!(intake.text("SELECT * FROM events").await.is_empty());
    assert_eq!(intake.text("SELECT * FROM window_states").await.len(), 0);
}

#[tokio::test]
async fn a_case_opened_by_two_epochs_is_kept_apart() {
    let intake = Intake::new().await;
    let (old, _) = journal(5, 2, 1);
    intake.post_events(&old).await;
    let before = intake.text("SELECT * FROM cases ORDER BY case_id").await;
    let (new, end) = journal(6, 2, 2);
    let answer = intake.post_events(&new).await;
    assert_eq!(answer.marks[0].committed, Some(end));
    assert_eq!(answer.marks[0].quarantined, Some(Quarantine::CaseReopened));
    assert_eq!(intake.flag().await.as_deref(), Some("case_reopened"));
    let after = intake.text("SELECT * FROM cases ORDER BY case_id").await;
    assert_eq!(after[..2], before[..]);
    assert_eq!(after.len(), 3);
    assert_eq!(intake.text("SELECT * FROM events").await.len(), 20);
}

#[tokio::test]
async fn a_journal_whose_beginning_is_gone_is_taken_after_a_while() {
    let intake = Intake::new().await;
    let (events, end) = journal(5, 2, 1);
    assert_eq!(mark(&intake.post_events(&events[4..]).await), (5, 0));
    assert_eq!(mark(&intake.post_events(&events[4..]).await), (5, 0));
    intake.clock.fetch_add(31_000, Ordering::Relaxed);
    assert_eq!(intake.post_events(&events[4..]).await.marks[0].committed, Some(end));
    assert!(intake.text("SELECT * FROM waiting_events").await.is_empty());
}

#[tokio::test]
async fn a_done_command_is_marked_done() {
    let intake = Intake::new().await;
    let order = control_protocol::channel::Order::ReportConfiguration {};
    let id = intake.nodes.order(node(), &order, "me".into(), UtcMillis(NOW + 60_000)).await.unwrap();
    let mut end = ChainEnd::start(5);
    let done =
        sealed(&mut end, None, Happening::CommandDone { command: id, ok: true, detail: "sent".into() });
    intake.post_events(&[done]).await;
    assert_eq!(
        intake.text("SELECT ok, detail FROM commands WHERE done_at IS NOT NULL AND ok = 1").await.len(),
        1
    );
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let intake = Intake::new().await;
    let result = take(&intake.nodes, &identity(), Bytes::from_static(b"not zstd")).await;
    assert!(matches!(result, Err(IntakeError::Batch(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Batches cut anywhere, doubled, overlapped and in any order give the record of the events sent straight, once the
    /// edge has sent on from the mark as it does.
    #[test]
    fn the_record_does_not_depend_on_the_way(cuts in proptest::collection::vec((0usize..30, 1usize..12), 1..14), poison in 1usize..29) {
        runtime().block_on(async {
            let (mut events, _) = journal(5, 6, 1);
            // One event in the middle cannot be read; the rest follows on it.
            let head: Vec<StoredEvent> = events.drain(..poison).collect();
            let mut lines: Vec<Bytes> = head.iter().map(|event| event.bytes.clone()).collect();
            let mut value = serde_json::to_value(&events[0].event).unwrap();
            value["kind"] = json!("ticket.unknown");
            let bad = Bytes::from(serde_json::to_vec(&value).unwrap());
            let mut end = ChainEnd { epoch: 5, seq: poison as u64 + 1, digest: Digest::of(&bad) };
            lines.push(bad);
            for event in &events[1..] {
                lines.push(sealed(&mut end, event.event.case, event.event.happening.clone()).bytes);
            }
            let straight = Intake::new().await;
            straight.post(lines.iter().map(|line| &line[..])).await;
            let other = Intake::new().await;
            for (from, length) in cuts {
                let to = (from + length).min(lines.len());
                other.post(lines[from.min(to)..to].iter().map(|line| &line[..])).await;
            }
            loop {
                let asked = super::mark(&other.nodes, &identity()).await.unwrap();
                let from = asked.marks[0].committed.map_or(0, |end| end.seq as usize);
                if from == lines.len() {
                    break;
                }
                other.post(lines[from..(from + 7).min(lines.len())].iter().map(|line| &line[..])).await;
            }
            prop_assert_eq!(other.record().await, straight.record().await);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_record_that_was_changed_is_found_at_its_first_bad_place() {
    use crate::nodes::verify::verify;
    let intake = Intake::new().await;
    let (events, _) = journal(5, 2, 1);
    intake.post_events(&events).await;
    let whole = intake.nodes.store().read(verify).await.unwrap();
    assert_eq!((whole.events, whole.wrong, whole.journals), (10, 0, vec![(node(), 5, 1, 10)]));
    let change = async |statement: &'static str| {
        intake.nodes.store().write("change", move |tx| tx.execute(statement, params![])).await.unwrap();
        intake.nodes.store().read(verify).await.unwrap()
    };
    let found = change(
        "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), 'A001', 'A009') AS BLOB) WHERE seq = 4",
    )
    .await;
    assert_eq!(found.wrong, 1);
    assert!(found.faults[0].contains("event 4: its bytes"), "{:?}", found.faults);
    let found = change("DELETE FROM events WHERE seq = 7").await;
    assert!(found.faults[1].contains("event 8: it follows event 6"), "{:?}", found.faults);
    let found = change("DELETE FROM events WHERE seq > 8").await;
    assert!(found.faults[2].contains("event 10 was committed last"), "{:?}", found.faults);
}
