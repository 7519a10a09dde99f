//! A picture out of the footage: the key frame at a time or the last before it, as a JPEG for people to look at.

use std::{
    fs::File,
    io::{self, BufReader},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use control_protocol::{
    CameraId,
    footage::{FootageAnswer, NoFootage, StillFile},
};
use picture::{Codec, Parameters};

use super::{
    Open, Recorder, Shared,
    answer::{Source, nothing},
    clip::{ClipError, Reading, chosen},
    index::Index,
    lock,
    segment::{self, MOOF_FIRST_SIZE, SampleEntry},
};

/// A still's largest width, pixels.
const MAX_WIDTH: u32 = 1280;

/// A key frame as it lies on the disk.
struct KeyFrame {
    entry: SampleEntry,
    /// When it was, UTC µs.
    wall_us: i64,
    unit: Bytes,
}

/// Finds and reads the key frame. Blocks.
fn key_frame(
    folder: &Path,
    shared: &Arc<Shared>,
    camera: &CameraId,
    open: Option<Open>,
    at_us: i64,
) -> Result<KeyFrame, ClipError> {
    let failed = |e: io::Error| ClipError::Read(e.to_string());
    let until_us = at_us.saturating_add(1);
    let rows = Index::read(folder)?.segments(camera, at_us, until_us)?;
    let _reading = Reading::of(shared, rows.iter().map(|row| row.id).collect());
    let sealed = rows.into_iter().map(|row| (row.file, row.table));
    let mut tables = sealed.chain(open.map(|open| (open.file, open.table)));
    let found = tables.find_map(|(file, table)| {
        let first = chosen(&table, at_us, until_us).first().copied()?;
        first.key.then_some((file, first))
    });
    let (name, fragment) = found.ok_or_else(|| ClipError::Nothing(camera.clone()))?;
    let file = File::open(folder.join(name)).map_err(failed)?;
    let (_, entry) = segment::head(BufReader::with_capacity(4096, &file)).map_err(failed)?;
    let moof_at = fragment.at + segment::MARK as u64;
    let mut moof = [0; MOOF_FIRST_SIZE + 4];
    file.read_exact_at(&mut moof, moof_at).map_err(failed)?;
    let word = |at: usize| moof.get(at..).and_then(|rest| rest.first_chunk()).map(|b| u32::from_be_bytes(*b));
    let sizes = word(0).zip(word(MOOF_FIRST_SIZE)).filter(|(_, size)| *size <= fragment.len);
    let (length, size) = sizes.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
    let mut unit = vec![0; size as usize];
    file.read_exact_at(&mut unit, moof_at + u64::from(length) + 8).map_err(failed)?;
    Ok(KeyFrame { entry, wall_us: fragment.wall_us, unit: unit.into() })
}

impl Recorder {
    /// A still of a camera at a time, with its bytes.
    pub(super) async fn still_answer(&self, camera: CameraId, at_us: i64) -> (FootageAnswer, Option<Source>) {
        let open = lock(&self.shared.open).get(&camera).cloned();
        let (folder, shared, of) = (self.folder.clone(), self.shared.clone(), camera.clone());
        let found = tokio::task::spawn_blocking(move || key_frame(&folder, &shared, &of, open, at_us)).await;
        let frame = match found {
            Ok(Ok(frame)) => frame,
            Ok(Err(e @ ClipError::Nothing(_))) => return (nothing(NoFootage::NotRecorded, e), None),
            Ok(Err(e)) => return (nothing(NoFootage::Failed, e), None),
            Err(e) => return (nothing(NoFootage::Failed, e), None),
        };
        let Some(codec) = Codec::of_rfc6381(&frame.entry.codec) else {
            return (nothing(NoFootage::Failed, "no still can be made of this codec"), None);
        };
        let parameters = Parameters { codec, record: frame.entry.record };
        match self.stills.still(parameters, frame.unit, MAX_WIDTH).await {
            Ok(jpeg) => {
                let bytes = jpeg.bytes.len() as u64;
                let (width, height) = (jpeg.width, jpeg.height);
                let file = StillFile { camera, at_us: frame.wall_us, width, height, bytes };
                (FootageAnswer::Still(file), Some(Source::Still(jpeg.bytes)))
            }
            Err(e) => (nothing(NoFootage::Failed, e), None),
        }
    }
}
