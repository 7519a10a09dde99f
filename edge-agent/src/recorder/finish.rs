//! Segments that end ahead of their time: what belongs to a case that is exported now is sealed, and its digest goes to the
//! centre with it. The recording goes on without losing a frame.

use std::time::Duration;

use control_protocol::{CameraId, footage::Finished};
use tokio::time::Instant;

use super::{Recorder, RecorderError, lock};

/// How long is waited for key frames; what has none until then goes on. A group of pictures is written when it is complete, so
/// this is three groups of four seconds.
const WAIT: Duration = Duration::from_secs(12);
/// How often it is looked whether a segment has been sealed.
const LOOK: Duration = Duration::from_millis(50);

impl Recorder {
    /// Has the segments of `cameras` that are being written end with the first key frame from `to_us` (UTC µs) on; gives those
    /// that have.
    ///
    /// # Errors
    /// Nothing is recorded, or too much waits for the disk.
    pub async fn finish(&self, cameras: Vec<CameraId>, to_us: i64) -> Result<Vec<Finished>, RecorderError> {
        let asked = cameras.clone();
        let mut waiting: Vec<Finished> = lock(&self.shared.open)
            .iter()
            .filter(|(camera, _)| cameras.contains(camera))
            .map(|(camera, open)| Finished { camera: camera.clone(), segment: open.file.clone() })
            .collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(move |writer| {
            writer.end_from(to_us, &asked);
            Ok(())
        })
        .await?;
        let (until, mut finished) = (Instant::now() + WAIT, Vec::new());
        while !waiting.is_empty() && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            let open = lock(&self.shared.open);
            let still = |one: &Finished| open.get(&one.camera).is_some_and(|open| open.file == one.segment);
            let (going_on, done): (Vec<_>, Vec<_>) = waiting.into_iter().partition(still);
            waiting = going_on;
            finished.extend(done);
        }
        Ok(finished)
    }
}
