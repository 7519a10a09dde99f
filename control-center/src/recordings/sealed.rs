//! What the evidence of a case needs of recordings: the segments that the halls have sealed, with the events that told it, and
//! when nothing was recorded.

use control_protocol::{CameraId, CaseId, Digest, HallId, NodeId, UtcMillis, WindowId};

use super::{
    listing::{LONGEST_SEGMENT_MS, recorded},
    timeline::case_cameras,
};
use crate::{
    Centre,
    access::Person,
    params,
    site::problem::Problem,
    store::{Sql, StoreError},
};

/// The most segments that are given at once: a camera's of three days.
const MOST: usize = 5_000;

/// A sealed segment, and the event by which the centre knows of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SealedSegment {
    pub(crate) segment: String,
    pub(crate) from: UtcMillis,
    pub(crate) to: UtcMillis,
    /// The digest that covers every byte of it.
    pub(crate) sha256: Digest,
    pub(crate) node: NodeId,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    /// When the centre committed that event.
    pub(crate) received_at: UtcMillis,
}

/// The segments of a camera that touch `from..to`, in order of their times.
pub(crate) fn sealed(
    sql: &mut dyn Sql,
    camera: &CameraId,
    from: UtcMillis,
    to: UtcMillis,
) -> Result<Vec<SealedSegment>, StoreError> {
    let rows = sql.query(
        "SELECT s.segment, s.from_at, s.to_at, s.sha256, s.node, s.epoch, s.seq, e.received_at \
         FROM recording_segments s JOIN events e ON e.node = s.node AND e.epoch = s.epoch AND e.seq = s.seq \
         WHERE s.camera = $1 AND s.from_at < $3 AND s.from_at > $4 AND s.to_at > $2 \
         ORDER BY s.from_at, s.segment LIMIT $5",
        params![camera, from, to, from.plus(-LONGEST_SEGMENT_MS), MOST],
    )?;
    rows.iter()
        .map(|row| {
            Ok(SealedSegment {
                segment: row.get(0)?,
                from: row.get(1)?,
                to: row.get(2)?,
                sha256: row.get(3)?,
                node: row.get(4)?,
                epoch: row.get(5)?,
                seq: row.get(6)?,
                received_at: row.get(7)?,
            })
        })
        .collect()
}

/// Whether the centre has been told of a segment that ended at or after `since`.
pub(crate) fn is_told(
    sql: &mut dyn Sql,
    camera: &CameraId,
    segment: &str,
    since: UtcMillis,
) -> Result<bool, StoreError> {
    let row = sql.query_one(
        "SELECT 1 FROM recording_segments WHERE camera = $1 AND from_at > $2 AND segment = $3",
        params![camera, since.plus(-LONGEST_SEGMENT_MS), segment],
    )?;
    Ok(row.is_some())
}

/// A camera that looked at a case, and when.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Looked {
    pub(crate) camera: CameraId,
    pub(crate) name: String,
    pub(crate) window: WindowId,
    pub(crate) from: UtcMillis,
    pub(crate) to: UtcMillis,
}

/// The cameras that looked at a case that `person` may replay.
pub(crate) fn cameras_of_case(
    sql: &mut dyn Sql,
    person: &Person,
    case: CaseId,
    now: UtcMillis,
) -> Result<Vec<Looked>, Problem> {
    let seen = case_cameras(sql, person, case, now)?;
    let looked = seen.cameras.into_iter().map(|camera| Looked {
        camera: camera.wanted.camera,
        name: camera.name,
        window: camera.window,
        from: camera.wanted.from,
        to: camera.wanted.to,
    });
    Ok(looked.collect())
}

/// Since when nothing was recorded, until when if it has ended, and why: a code, and after a colon more.
pub(crate) type Missing = (UtcMillis, Option<UtcMillis>, String);

/// When nothing was recorded in a time: as the hall says, or as far as the centre has been told.
pub(crate) async fn gaps(
    centre: &Centre,
    hall: &HallId,
    camera: &CameraId,
    time: (UtcMillis, UtcMillis),
) -> Result<Vec<Missing>, Problem> {
    let found = recorded(centre, hall, camera, time).await?;
    let gaps = found.gaps.into_iter().map(|gap| {
        let why = gap.why.map_or(gap.code.clone(), |why| format!("{}: {why}", gap.code));
        (gap.from, gap.to, why)
    });
    Ok(gaps.collect())
}
