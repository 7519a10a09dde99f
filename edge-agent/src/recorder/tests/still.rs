//! Stills out of the footage.

use control_protocol::footage::{FootageAnswer, FootageAsk, NoFootage};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_still_is_the_key_frame_at_a_time_or_the_last_before_it() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let f = footage(3, false);
    let rig = Rig::start(settings(folder.path()), data.path(), 0);
    rig.play(&f.entry, &f.fragments, 0, Some(Why::AgentDown));
    rig.done().await;
    let [_, second, third] = &f.fragments[..] else { panic!("three groups") };
    for at_us in [second.wall_us, third.wall_us - 1] {
        let ask = FootageAsk::Still { camera: camera(), at_us };
        let (FootageAnswer::Still(file), Some(source)) = rig.recorder.answer(ask).await else {
            panic!("no still")
        };
        assert_eq!((file.at_us, file.bytes), (second.wall_us, source.bytes()));
        let parts: Vec<bytes::Bytes> = source.stream(0..file.bytes).try_collect().await.unwrap();
        let jpeg = parts.concat();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.len() as u64 == file.bytes);
        assert_eq!((file.width, file.height), (f.entry.width, f.entry.height));
    }
    let before = FootageAsk::Still { camera: camera(), at_us: START - SECOND };
    let (FootageAnswer::Nothing { reason, .. }, None) = rig.recorder.answer(before).await else {
        panic!("a picture of when there was none")
    };
    assert_eq!(reason, NoFootage::NotRecorded);
    rig.stop();
}
