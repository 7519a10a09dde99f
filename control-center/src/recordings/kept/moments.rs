//! Key moments of cases, found in the record after it was committed: the call, the start of service, the rating, and a fault of
//! the picture while a case is at the window.

use control_protocol::{CameraId, CaseId, Event, Happening, UtcMillis};

use super::files::id_of;
use crate::{
    Centre,
    areas::cameras_of_window,
    cases, params,
    store::{Sql, StoreError},
};

const KINDS: [&str; 4] = ["ticket.called", "service.started", "rating.given", "picture.fault"];
/// The most events of a kind that are looked at in one round.
const AT_A_TIME: usize = 200;
/// A moment that the centre hears of later than this is not fetched any more: what comes in is a backlog.
const LATEST_MS: i64 = 24 * 3_600_000;
/// Until then the hall has the group of pictures that a moment is in, milliseconds.
const SETTLED_MS: i64 = 6_000;

/// A moment to be kept.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    case: CaseId,
    camera: CameraId,
    event: Event,
}

/// The moment that an event is, if it is one; `now` is the centre's time.
fn moment(sql: &mut dyn Sql, event: Event, now: UtcMillis) -> Result<Option<Moment>, StoreError> {
    if now.0.saturating_sub(event.at.0) > LATEST_MS {
        return Ok(None);
    }
    let Some(window) = event.window.clone() else { return Ok(None) };
    let (case, camera) = match &event.happening {
        Happening::PictureFault { ended: true, .. } => return Ok(None),
        Happening::PictureFault { .. } => {
            let camera = event.device.as_deref().and_then(|device| device.parse::<CameraId>().ok());
            (cases::at_window(sql, &window, event.at)?, camera)
        }
        _ => {
            let first = cameras_of_window(sql, &window)?.into_iter().next();
            (event.case, first.map(|(camera, _)| camera))
        }
    };
    Ok(case.zip(camera).map(|(case, camera)| Moment { case, camera, event }))
}

/// What was found of one kind.
struct Found {
    kind: &'static str,
    /// Up to which event.
    n: i64,
    moments: Vec<Moment>,
}

fn look(sql: &mut dyn Sql, kind: &'static str, now: UtcMillis) -> Result<Option<Found>, StoreError> {
    let progress = sql.query_one("SELECT n FROM kept_progress WHERE kind = $1", params![kind])?;
    let Some(row) = progress else {
        // What came before there was this to be done is not gone through.
        let newest = sql.query_one("SELECT COALESCE(MAX(n), 0) FROM events", params![])?;
        let n = newest.map_or(Ok(0), |row| row.get(0))?;
        return Ok(Some(Found { kind, n, moments: Vec::new() }));
    };
    let after: i64 = row.get(0)?;
    let rows = sql.query(
        "SELECT n, bytes FROM events WHERE kind = $1 AND n > $2 ORDER BY n LIMIT $3",
        params![kind, after, AT_A_TIME],
    )?;
    let Some(last) = rows.last() else { return Ok(None) };
    let n = last.get(0)?;
    let mut moments = Vec::new();
    for row in &rows {
        let event = cases::event(row, 1)?;
        moments.extend(moment(sql, event, now)?);
    }
    Ok(Some(Found { kind, n, moments }))
}

/// Looks for new moments and puts them on the list of what is wanted.
pub(super) async fn find(centre: &Centre) -> Result<(), StoreError> {
    let now = centre.clock.now();
    let found = centre
        .store
        .read(move |sql| {
            let mut all = Vec::new();
            for kind in KINDS {
                all.extend(look(sql, kind, now)?);
            }
            Ok::<_, StoreError>(all)
        })
        .await?;
    if found.is_empty() {
        return Ok(());
    }
    centre
        .store
        .write("moments of cases", move |tx| {
            for found in &found {
                for moment in &found.moments {
                    want(tx.sql, moment, now)?;
                }
                tx.sql.execute(
                    "INSERT INTO kept_progress (kind, n) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE SET n = $2",
                    params![found.kind, found.n],
                )?;
            }
            Ok(())
        })
        .await
}

fn want(sql: &mut dyn Sql, moment: &Moment, now: UtcMillis) -> Result<(), StoreError> {
    let Moment { case, camera, event } = moment;
    let place = [event.node.as_str(), &event.epoch.to_string(), &event.seq.to_string(), camera.as_str()];
    let next = event.at.plus(SETTLED_MS).max(now);
    sql.execute(
        "INSERT INTO kept_stills (id, case_id, hall, camera, node, epoch, seq, shows, at, state, tries, next_at, changed_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'wanted', 0, $10, $11) ON CONFLICT (id) DO NOTHING",
        params![
            id_of(&place),
            case,
            event.hall,
            camera,
            event.node,
            event.epoch,
            event.seq,
            event.happening.kind(),
            event.at,
            next,
            now
        ],
    )?;
    Ok(())
}
