use super::*;
use crate::clock::SystemClock;
use control_protocol::event::Grade;

fn entry(text: &str) -> Entry {
    Entry {
        at: UtcMillis(1_795_000_000_000),
        mono_us: 1,
        boot: "b".into(),
        clock: ClockQuality::Synchronised,
        window: None,
        device: None,
        case: None,
        happening: Happening::NodeStarted { version: text.into(), boot: "b".into() },
        once: None,
    }
}

fn punch(second: i64) -> Entry {
    let position: PositionId = "450103-01-A01-attendance".parse().unwrap();
    let punched_at = UtcMillis(second * 1000);
    Entry {
        happening: Happening::PunchRecorded {
            employee: "1001".into(),
            punched_at,
            verify: 1,
            state: 0,
            live: true,
        },
        once: Some(PunchKey { position, employee: "1001".into(), punched_at }),
        ..entry("")
    }
}

fn open(data: &Path) -> (Journal, JournalThread) {
    let (journal, _, thread) = Journal::open(
        data,
        "hall-450103-01".parse().unwrap(),
        "450103-01".parse().unwrap(),
        SystemClock::start(),
    )
    .unwrap();
    (journal, thread)
}

fn close(journal: Journal, thread: JournalThread) {
    drop(journal);
    thread.join();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_is_there_after_a_restart_and_the_chain_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let (journal, thread) = open(data.path());
    assert_eq!(journal.append(vec![entry("a"), entry("b")]).await.unwrap(), 2);
    let appends: Vec<_> = (0..200).map(|i| journal.append(vec![entry(&i.to_string())])).collect();
    for done in futures_util::future::join_all(appends).await {
        assert_eq!(done.unwrap(), 1);
    }
    let last = journal.status().borrow().last;
    assert_eq!(last.seq, 202);
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();

    let (journal, thread) = open(data.path());
    assert_eq!(journal.status().borrow().last, last);
    assert_eq!(journal.status().borrow().depth, 202);
    journal.append(vec![entry("c")]).await.unwrap();
    let verified = verify(data.path()).unwrap();
    assert_eq!(verified.faults, Vec::<String>::new());
    assert_eq!(verified.epochs, [(last.epoch, 1, 203)]);
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();

    let db = rusqlite::Connection::open(data.path().join("journal/journal.sqlite")).unwrap();
    db.execute("UPDATE events SET bytes = replace(bytes, 'node.started', 'node.startet') WHERE seq = 7", [])
        .unwrap();
    db.execute("UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"b\"', '\"c\"') AS BLOB) WHERE seq = 9", [])
        .unwrap();
    let faults = verify(data.path()).unwrap().faults;
    assert!(faults.iter().any(|f| f.contains("event 7")) && faults.iter().any(|f| f.contains("event 9")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_punch_is_one_event_whoever_says_it() {
    let data = tempfile::tempdir().unwrap();
    let (journal, thread) = open(data.path());
    assert_eq!(journal.append(vec![punch(5)]).await.unwrap(), 1);
    assert_eq!(journal.append(vec![punch(5), punch(6)]).await.unwrap(), 1);
    let position: PositionId = "450103-01-A01-attendance".parse().unwrap();
    assert_eq!(journal.last_punch(position).await.unwrap(), Some(UtcMillis(6000)));
    assert!(journal.first_time("c1".into()).await.unwrap());
    assert!(!journal.first_time("c1".into()).await.unwrap());
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_moves_on_and_back_and_knows_a_copy() {
    let data = tempfile::tempdir().unwrap();
    let (journal, thread) = open(data.path());
    journal.append((0..10).map(|i| entry(&i.to_string())).collect()).await.unwrap();
    let batch = journal.outgoing(4).await.unwrap();
    assert_eq!(batch.iter().map(|o| o.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let end = |o: &Outgoing| ChainEnd { epoch: o.epoch, seq: o.seq, digest: Digest::of(&o.bytes) };
    assert_eq!(journal.mark(end(&batch[3])).await.unwrap(), MarkOutcome::Advanced);
    assert_eq!(journal.outgoing(500).await.unwrap()[0].seq, 5);
    assert_eq!(journal.status().borrow().depth, 6);
    assert_eq!(journal.mark(end(&batch[1])).await.unwrap(), MarkOutcome::Rewound);
    assert_eq!(journal.outgoing(500).await.unwrap()[0].seq, 3);
    let beyond = ChainEnd { seq: 99, ..end(&batch[0]) };
    assert_eq!(journal.mark(beyond).await.unwrap(), MarkOutcome::Ahead);
    let other = ChainEnd { digest: Digest::ZERO, ..end(&batch[2]) };
    assert_eq!(journal.mark(other).await.unwrap(), MarkOutcome::Ahead);
    let later = ChainEnd { epoch: batch[0].epoch + 1, ..end(&batch[0]) };
    assert_eq!(journal.mark(later).await.unwrap(), MarkOutcome::UnknownEpoch);
    let epoch = journal.new_epoch("test").await.unwrap();
    let again = journal.outgoing(500).await.unwrap();
    assert_eq!((again.len(), again[0].epoch, again[0].seq), (10, epoch, 1));
    assert_eq!(verify(data.path()).unwrap().faults, Vec::<String>::new());
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_begins_a_new_epoch() {
    let data = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (journal, thread) = open(data.path());
    journal.append(vec![entry("a")]).await.unwrap();
    let first = journal.status().borrow().last.epoch;
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
    let database = data.path().join("journal/journal.sqlite");
    std::fs::copy(&database, copy.path().join("db")).unwrap();

    let (journal, thread) = open(data.path());
    journal.append(vec![entry("b")]).await.unwrap();
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
    std::fs::copy(copy.path().join("db"), &database).unwrap();

    let (journal, thread) = open(data.path());
    let status = *journal.status().borrow();
    assert!(status.last.epoch > first);
    assert_eq!(status.last.seq, 0);
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_is_read_back_in_order() {
    let data = tempfile::tempdir().unwrap();
    let (journal, thread) = open(data.path());
    let rated = Entry {
        happening: Happening::RatingGiven { ticket: "A001".into(), grade: Grade::new(5).unwrap(), raw: 4 },
        ..entry("")
    };
    journal.append(vec![entry("a"), rated.clone(), entry("b"), rated]).await.unwrap();
    let events = journal.session_events(UtcMillis(0)).await.unwrap();
    assert_eq!(events.iter().map(|e| e.event.seq).collect::<Vec<_>>(), [2, 4]);
    let all = journal.written_behind(0, UtcMillis(0)).await.unwrap();
    assert_eq!(all.iter().map(|(_, e)| e.event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let rest = journal.written_behind(all[2].0, UtcMillis(0)).await.unwrap();
    assert_eq!(rest.iter().map(|(_, e)| e.event.seq).collect::<Vec<_>>(), [4]);
    assert!(journal.written_behind(0, UtcMillis(i64::MAX)).await.unwrap().is_empty());
    journal.tidy().await.unwrap();
    tokio::task::spawn_blocking(move || close(journal, thread)).await.unwrap();
}
