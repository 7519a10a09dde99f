//! Segments that end ahead of their time.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_ends_with_the_next_key_frame_and_no_frame_is_lost() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(3, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    assert!(rig.recorder.finish(vec![camera()], START).await.unwrap().is_empty());
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    let open = lock(&rig.recorder.shared.open)[&camera()].file.clone();
    assert!(rows(folder.path()).0.is_empty());
    // The recorder is asked before the next pictures come.
    let (finished, ()) = tokio::join!(rig.recorder.finish(vec![camera(), other()], i64::MAX), async {
        rig.play(&f.entry, &f.fragments, f.us, None);
    });
    let finished = finished.unwrap();
    assert_eq!(finished.iter().map(|one| &one.segment).collect::<Vec<_>>(), [&open]);
    let (sealed, gaps) = rows(folder.path());
    assert_eq!(
        sealed.iter().map(|row| (&row.file, row.table.frames())).collect::<Vec<_>>(),
        [(&open, f.frames)]
    );
    assert_eq!(gaps.len(), 0);
    // The next one has its whole time again, in the same run.
    rig.play(&f.entry, &f.fragments, 2 * f.us, None);
    rig.done().await;
    assert_eq!(rows(folder.path()).0.len(), 1);
    let (runs, _) = rig.recorder.recordings(&camera(), 0, i64::MAX).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.frames).collect::<Vec<_>>(), [3 * f.frames]);
    rig.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_in_the_segment_that_ends() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(3, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    rig.at(Duration::from_secs(30)).await;
    // The group of pictures in which the time lies began before it and is written after the recorder was asked.
    let (finished, ()) = tokio::join!(rig.recorder.finish(vec![camera()], START + f.us + 1), async {
        rig.play(&f.entry, &f.fragments, f.us, None);
    });
    assert_eq!(finished.unwrap().len(), 1);
    let (sealed, _) = rows(folder.path());
    let frames = f.frames + f.fragments[0].frames.len() as u64;
    assert_eq!(sealed.iter().map(|row| row.table.frames()).collect::<Vec<_>>(), [frames]);
    rig.stop();
}
