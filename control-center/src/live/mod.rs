//! Live pictures: one relay for each stream that somebody watches, the wall socket that carries them to pages, and
//! single stills. Owns leases' lifetimes and who is shown what; never opens, changes or copies a picture.

mod judge;
mod moving;
mod relay;
mod still;
mod wall;
mod watch;

#[cfg(test)]
mod moving_tests;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use control_protocol::{CameraId, HallId};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use relay::{Relay, Relays, Seat, Shown};

use crate::{
    Centre,
    access::{Action, Denied, Person, may},
    areas::camera_place,
    nodes::Nodes,
    site::problem::Problem,
    store::{Sql, StoreError},
};

/// The wall socket's path.
pub const WALL: &str = "/api/v1/wall";
/// Wall sockets open at a time.
const PAGES: usize = 1024;

/// The live side of a centre; cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Inner>);

struct Inner {
    relays: Arc<Relays>,
    pages: Arc<Semaphore>,
    figures: Figures,
}

/// What is counted since the start.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) pages: AtomicUsize,
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) slow_pages: AtomicU64,
    pub(crate) stills: AtomicU64,
}

impl Live {
    /// The live side over these nodes; `stop` ends it.
    pub fn new(nodes: Nodes, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            relays: Arc::new(Relays::new(nodes, stop)),
            pages: Arc::new(Semaphore::new(PAGES)),
            figures: Figures::default(),
        }))
    }

    /// The relays.
    pub fn relays(&self) -> &Arc<Relays> {
        &self.0.relays
    }

    fn figures(&self) -> &Figures {
        &self.0.figures
    }

    fn pages(&self) -> &Arc<Semaphore> {
        &self.0.pages
    }

    /// The figures of this side, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        let f = self.figures();
        let (streams, viewers) = self.relays().count();
        let gauges = [
            ("hallwatch_wall_pages", "Wall sockets open.", f.pages.load(Ordering::Relaxed)),
            ("hallwatch_live_streams", "Streams relayed.", streams),
            ("hallwatch_live_viewers", "Viewers of relayed streams.", viewers),
            ("hallwatch_live_held_bytes", "Bytes of pictures held.", self.relays().held_bytes()),
        ];
        let counters = [
            ("hallwatch_wall_messages_total", "Frame messages sent to pages.", &f.messages),
            ("hallwatch_wall_bytes_total", "Bytes of frame messages sent to pages.", &f.bytes),
            ("hallwatch_wall_missed_frames_total", "Frames that slow pages skipped.", &f.missed),
            ("hallwatch_wall_slow_pages_total", "Pages closed because they took nothing.", &f.slow_pages),
            ("hallwatch_stills_total", "Stills given.", &f.stills),
        ];
        let mut text = String::new();
        for (name, help, value) in gauges {
            // Writing to a String does not fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        }
        for (name, help, figure) in counters {
            let value = figure.load(Ordering::Relaxed);
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n");
        }
        text
    }
}

/// This room's routes, under `/api/v1`.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(wall::wall)).routes(routes!(still::still)).merge(moving::routes())
}

/// Whether a page's text on the wall socket can be taken; the problem says what to mend.
pub fn check_text(text: &str) -> Result<(), Problem> {
    watch::read(text).map(drop)
}

/// The hall of a camera that `person` may watch. A camera that is not there and one outside their area look the same.
fn watchable(
    sql: &mut dyn Sql,
    person: &Person,
    camera: &CameraId,
) -> Result<Result<HallId, Denied>, StoreError> {
    let Some(place) = camera_place(sql, camera)? else { return Ok(Err(Denied::Outside)) };
    if let Err(denied) = may(person, Action::WatchLive, &place) {
        return Ok(Err(denied));
    }
    let hall = place.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    hall.parse()
        .map(Ok)
        .map_err(|_| StoreError::Read(format!("the path {} does not end in a hall", place.path())))
}
