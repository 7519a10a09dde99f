//! For how many days footage is kept, as the centre orders it.

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_days_wins_over_the_file_at_once_and_after_a_start() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(1, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.lose(Why::CameraLost("gone".into()));
    rig.done().await;
    assert_eq!(rig.recorder.keep_days(Some(90)).await.unwrap(), 90);
    // The file says 30.
    rig.at(DAY * 40).await;
    assert_eq!(rows(folder.path()).0.len(), 1);
    rig.stop();
    let kept = crate::recorder::keep::Ordered::read(folder.path());
    assert_eq!(kept.days(30), 90, "a start goes on with it");

    let settings = Recording { days: kept.days(30), ..settings(folder.path()) };
    let rig = Rig::start(settings, data.path(), u64::try_from((DAY * 41).as_micros()).unwrap());
    rig.at(DAY * 42).await;
    assert_eq!(rows(folder.path()).0.len(), 1);
    assert_eq!(rig.recorder.keep_days(Some(41)).await.unwrap(), 41);
    rig.at(DAY * 43).await;
    assert!(rows(folder.path()).0.is_empty(), "what is older than the new order goes");
    rig.stop();
}
