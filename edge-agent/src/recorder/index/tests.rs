//! Rows, holds and what may be deleted.

use control_protocol::chain::Digest;

use super::*;
use crate::recorder::segment::{Entry, tests::head};

const START: i64 = 1_795_000_000_000_000;
const MINUTE: i64 = 60_000_000;

/// A sealed minute of the test camera, the n-th.
fn minute(index: &Index, n: u32) -> SegmentRow {
    let head = Head { run: 1, part: n + 1, ..head() };
    let start_us = START + i64::from(n) * MINUTE;
    let file = format!("c/d/{n}.mp4");
    let id = index.begin(&head, &file, start_us).unwrap();
    let entry = |k: i64| Entry {
        at: 700 + u64::try_from(k).unwrap() * 1000,
        len: 1000,
        wall_us: start_us + k * 2_000_000,
        duration_us: 2_000_000,
        frames: 50,
        key: true,
    };
    let row = SegmentRow {
        id,
        camera: head.camera,
        run: 1,
        part: n + 1,
        file,
        start_us,
        end_us: start_us + MINUTE,
        mono_us: 7,
        boot: "b1".into(),
        quality: "synchronised".into(),
        codec: head.codec,
        width: 640,
        height: 360,
        head_len: 700,
        bytes: 30_700,
        digest: Digest::of(&n.to_be_bytes()),
        table: Table((0..30).map(entry).collect()),
    };
    index.seal(&row).unwrap();
    row
}

fn hold(id: &str, from: i64, to: i64, until_us: Option<i64>) -> Hold {
    Hold {
        id: id.into(),
        kind: HoldKind::Person,
        reason: "a complaint".into(),
        placed_by: Some("county".into()),
        case: None,
        cameras: vec![head().camera],
        from_us: START + from * MINUTE,
        to_us: START + to * MINUTE,
        placed_us: START,
        until_us,
        released_us: None,
    }
}

#[test]
fn rows_come_back_by_time_and_as_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (index, new) = Index::open(folder.path()).unwrap();
    assert!(new);
    let rows: Vec<SegmentRow> = (0..5).map(|n| minute(&index, n)).collect();
    let camera = head().camera;
    let found = index.segments(&camera, START + MINUTE, START + 2 * MINUTE + 1).unwrap();
    assert_eq!(found, rows[1..3]);
    let runs = index.runs(&camera, START, START + 1).unwrap();
    assert_eq!((runs.len(), runs[0].frames, runs[0].to_us), (1, 7_500, START + 5 * MINUTE));
    let last = index.last(&camera).unwrap().unwrap();
    assert_eq!((last.run, last.digest), (1, rows[4].digest));
    assert_eq!(index.bytes_of(&camera).unwrap(), 5 * 30_700);
    let (segments, _) = index.untold(3).unwrap();
    index.told(&segments.iter().map(|s| s.id).collect::<Vec<_>>(), &[]).unwrap();
    assert_eq!(index.untold(64).unwrap().0, rows[3..]);
    assert_eq!(Index::read(folder.path()).unwrap().everything().unwrap(), rows);
}

#[test]
fn a_hold_wins_over_every_deleter_until_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = Index::open(folder.path()).unwrap();
    let rows: Vec<SegmentRow> = (0..5).map(|n| minute(&index, n)).collect();
    let now = START + 10 * MINUTE;
    let deletable = |now| -> Vec<i64> {
        let of_all = index.deletable(None, i64::MAX, now, 64).unwrap();
        let of_one = index.deletable(Some(&head().camera), i64::MAX, now, 64).unwrap();
        assert_eq!(of_all, of_one);
        of_all.into_iter().map(|(id, ..)| id).collect()
    };
    assert_eq!(deletable(now).len(), 5);
    assert!(index.hold(folder.path(), &hold("h1", 1, 3, None)).unwrap());
    assert!(!index.hold(folder.path(), &hold("h1", 0, 5, None)).unwrap());
    assert_eq!(deletable(now), [rows[0].id, rows[3].id, rows[4].id]);
    assert!(index.hold(folder.path(), &hold("h2", 3, 4, Some(now + 1))).unwrap());
    assert_eq!(deletable(now), [rows[0].id, rows[4].id]);
    assert_eq!(deletable(now + 1), [rows[0].id, rows[3].id, rows[4].id], "h2 has ended");
    assert!(index.release(folder.path(), "h1", now).unwrap());
    assert!(!index.release(folder.path(), "h1", now).unwrap());
    assert_eq!(deletable(now + 1).len(), 5);
    let holds = index.holds().unwrap();
    assert_eq!((holds.len(), holds[0].released_us), (2, Some(now)));
    assert_eq!(Index::kept_holds(folder.path()).unwrap(), holds);
}

#[test]
fn gaps_are_found_while_they_go_on_and_after() {
    let folder = tempfile::tempdir().unwrap();
    let (index, _) = Index::open(folder.path()).unwrap();
    let camera = head().camera;
    let gap = |from: i64, to: Option<i64>| Gap {
        camera: camera.clone(),
        from_us: START + from,
        to_us: to.map(|to| START + to),
        why: "camera_lost: gone".into(),
    };
    index.put_gap(&gap(0, None)).unwrap();
    assert_eq!(index.open_gap(&camera).unwrap(), Some((START, "camera_lost: gone".into())));
    assert_eq!(index.gaps(&camera, START + 500, START + 600).unwrap(), [gap(0, None)]);
    assert!(index.untold(9).unwrap().1.is_empty());
    index.put_gap(&gap(0, Some(100))).unwrap();
    assert_eq!(index.open_gap(&camera).unwrap(), None);
    assert!(index.gaps(&camera, START + 500, START + 600).unwrap().is_empty());
    assert_eq!(index.gaps(&camera, START + 50, START + 600).unwrap(), [gap(0, Some(100))]);
    assert_eq!(index.untold(9).unwrap().1, [gap(0, Some(100))]);
    index.told(&[], &[(camera.clone(), START)]).unwrap();
    index.forget_gaps(START + 101).unwrap();
    assert!(index.ended_gaps().unwrap().is_empty());
}

#[test]
fn a_damaged_index_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), vec![7; 9000]).unwrap();
    let error = Index::open(folder.path()).unwrap_err();
    assert!(matches!(error, IndexError::Damaged(_)) && error.to_string().contains("rebuild"), "{error}");
}
