//! From the bytes of a batch to lines that each know their place in the journal, as far as it can be known. Pure: no
//! store, no clock. Nothing here is ever refused: a line that cannot be read is placed by what can still be read of it,
//! or by its neighbours, because a journal whose line is blocked loses more than one event.

use bytes::Bytes;
use control_protocol::{Digest, HallId, Happening, NodeId, StoredEvent, chain::MAX_EVENT_BYTES};

use crate::nodes::registry::belongs;

/// Epochs and sequence numbers are 63 bits wide in the store.
const MAX_NUMBER: u64 = i64::MAX as u64;

/// Where a line stands in its node's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// One line of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) bytes: Bytes,
    pub(crate) hash: Digest,
    /// `None` where nothing says it.
    pub(crate) place: Option<Place>,
    /// The hash of the line before; `None` where it cannot be read.
    pub(crate) prev: Option<Digest>,
    /// The event, or why it is a poison event.
    pub(crate) event: Result<Box<StoredEvent>, String>,
    /// It says that it is another node's: it has no place in this node's journal.
    pub(crate) foreign: bool,
    /// `place` was read from whole JSON, not guessed from a torn line.
    sure: bool,
}

/// Reads the lines of a batch posted by `node` of `hall`.
pub(crate) fn read_lines(lines: Vec<Bytes>, node: &NodeId, hall: &HallId) -> Vec<Line> {
    let mut lines: Vec<Line> = lines.into_iter().map(|bytes| read_line(bytes, node, hall)).collect();
    place_by_neighbours(&mut lines);
    lines
}

pub(super) fn read_line(bytes: Bytes, node: &NodeId, hall: &HallId) -> Line {
    match StoredEvent::open(bytes.clone()) {
        Ok(stored) => {
            let event = &stored.event;
            let place = Place { epoch: event.epoch, seq: event.seq };
            let foreign = event.node != *node;
            let wrong = if foreign {
                Some(format!("it is an event of node {}, sent by node {node}", event.node))
            } else if event.seq == 0 || event.seq > MAX_NUMBER || event.epoch > MAX_NUMBER {
                return Line {
                    hash: stored.digest,
                    bytes,
                    place: None,
                    prev: None,
                    event: Err(format!(
                        "epoch {} or sequence number {} is out of range",
                        event.epoch, event.seq
                    )),
                    foreign: false,
                    sure: false,
                };
            } else {
                names_another_hall(&stored, hall)
            };
            let (hash, prev) = (stored.digest, Some(event.prev));
            let event = match wrong {
                Some(why) => Err(why),
                None => Ok(Box::new(stored)),
            };
            Line { bytes, hash, place: (!foreign).then_some(place), prev, event, foreign, sure: true }
        }
        Err(error) => {
            let loose = Loose::read(&bytes);
            let foreign = loose.node.as_ref().is_some_and(|of| of != node.as_str());
            let place = match (foreign, loose.epoch, loose.seq) {
                (false, Some(epoch), Some(seq)) => Some(Place { epoch, seq }),
                _ => None,
            };
            Line {
                hash: Digest::of(&bytes),
                bytes,
                prev: place.and(loose.prev),
                place,
                event: Err(error.to_string()),
                foreign,
                sure: loose.whole,
            }
        }
    }
}

/// Why the event is not one that an edge of `hall` may send; `None` if it is. Whatever it names must lie in its hall,
/// or one hall's agent could write into another's record.
fn names_another_hall(stored: &StoredEvent, hall: &HallId) -> Option<String> {
    let event = &stored.event;
    if event.hall != *hall {
        return Some(format!("it is an event of hall {}, sent by the node of hall {hall}", event.hall));
    }
    let mut named: Vec<&str> = Vec::new();
    named.extend(event.window.as_ref().map(|id| id.as_str()));
    // A device may have a name of the edge's own; it must not be one of another hall.
    named.extend(
        event.device.as_deref().filter(|id| id.get(..9).is_some_and(|id| id.parse::<HallId>().is_ok())),
    );
    match &event.happening {
        Happening::TicketTransferred { to_window, .. } => named.push(to_window.as_str()),
        Happening::NodeConfigChanged { cameras, positions } => {
            for camera in cameras {
                named.push(camera.camera.as_str());
                named.extend(camera.window.as_ref().map(|id| id.as_str()));
            }
            for position in positions {
                named.push(position.position.as_str());
                named.extend(position.window.as_ref().map(|id| id.as_str()));
            }
        }
        _ => {}
    }
    if let Some(id) = named.into_iter().find(|id| !belongs(id, hall)) {
        return Some(format!(
            "it names {}, which is not in hall {hall}",
            id.chars().take(64).collect::<String>()
        ));
    }
    let case = event.case.as_ref().filter(|case| case.hall() != hall.as_str())?;
    Some(format!("it names case {case}, which is not of hall {hall}"))
}

/// What can be made out of a line that is not an event.
#[derive(Default)]
struct Loose {
    node: Option<String>,
    epoch: Option<u64>,
    seq: Option<u64>,
    prev: Option<Digest>,
    /// The line is JSON from end to end.
    whole: bool,
}

impl Loose {
    fn read(bytes: &[u8]) -> Self {
        // The fields that place an event stand at its beginning, in this order, so even a torn line often has them.
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).into_owned();
        if bytes.len() <= MAX_EVENT_BYTES
            && let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes)
        {
            let number =
                |name: &str| value.get(name).and_then(serde_json::Value::as_u64).filter(|n| *n <= MAX_NUMBER);
            let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
            return Self {
                node: text("node").map(str::to_owned),
                epoch: number("epoch"),
                seq: number("seq").filter(|seq| *seq > 0),
                prev: text("prev").and_then(|prev| prev.parse().ok()),
                whole: true,
            };
        }
        let after = |name: &str| head.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest.trim_start());
        let number = |name: &str| {
            let rest = after(name)?;
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest[..end].parse::<u64>().ok().filter(|n| *n <= MAX_NUMBER)
        };
        let text = |name: &str| after(name)?.strip_prefix('"')?.split_once('"').map(|(text, _)| text);
        Self {
            node: text("node").map(str::to_owned),
            epoch: number("epoch"),
            seq: number("seq").filter(|seq| *seq > 0),
            prev: text("prev").and_then(|prev| prev.parse().ok()),
            whole: false,
        }
    }
}

/// Gives torn lines the place between their neighbours. Where a torn line's own words and its neighbours disagree, the
/// neighbours are right: they prove themselves by their hashes, a torn line proves nothing.
fn place_by_neighbours(lines: &mut [Line]) {
    let mut before: Option<Place> = None;
    for line in lines.iter_mut().filter(|line| !line.foreign) {
        if line.event.is_err()
            && !(line.sure && line.place.is_some())
            && let Some(Place { epoch, seq }) = before
        {
            put(line, Place { epoch, seq: seq + 1 });
        }
        before = line.place;
    }
    let mut after: Option<Place> = None;
    for line in lines.iter_mut().rev().filter(|line| !line.foreign) {
        if line.event.is_err()
            && line.place.is_none()
            && let Some(Place { epoch, seq }) = after
            && seq > 1
        {
            put(line, Place { epoch, seq: seq - 1 });
        }
        after = line.place;
    }
}

fn put(line: &mut Line, place: Place) {
    // A poison event of a new epoch says so itself; it does not follow on the epoch before.
    if line.place.is_some_and(|own| own.epoch != place.epoch) {
        return;
    }
    if line.place != Some(place) {
        line.place = Some(place);
        line.prev = None;
    }
}
