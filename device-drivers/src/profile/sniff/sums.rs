//! Finds the checksum by trial: every kind, both byte orders, every place that changes, every range.

use super::FoundSum;
use crate::profile::checksum::Kind;

/// Frames up to this are tried with every place and range.
const LONG: usize = 40;

/// Whether an initial value can be worked back from a frame.
fn worked_back(kind: Kind, computed: u16, found: u16) -> Option<u16> {
    match kind {
        Kind::Sum8 => Some(found.wrapping_sub(computed) & 0xFF),
        Kind::NegSum8 => Some(computed.wrapping_sub(found) & 0xFF),
        Kind::Sum16 => Some(found.wrapping_sub(computed)),
        Kind::Xor8 => Some(found ^ computed),
        Kind::Ones16 | Kind::Crc16Modbus | Kind::Crc16Ccitt => None,
    }
}

fn value(frame: &[u8], at: usize, width: usize, little: bool) -> u16 {
    match (width, little) {
        (1, _) => u16::from(frame[at]),
        (_, true) => u16::from_le_bytes([frame[at], frame[at + 1]]),
        (_, false) => u16::from_be_bytes([frame[at], frame[at + 1]]),
    }
}

/// A place relative to each frame's end; frames may have different lengths.
struct Place {
    at: usize,
    from: usize,
    to: usize,
}

fn holds(frames: &[&[u8]], kind: Kind, init: u16, little: bool, place: impl Fn(&[u8]) -> Place) -> bool {
    frames.iter().all(|frame| {
        let Place { at, from, to } = place(frame);
        kind.over(&frame[from..to], init) == value(frame, at, kind.width(), little)
    })
}

/// The initial values worth trying: the usual one, zero for XMODEM, and the one worked back from the first frame.
fn inits(kind: Kind, first: &[u8], place: &Place, little: bool) -> Vec<u16> {
    let mut inits = vec![kind.usual_init()];
    if matches!(kind, Kind::Crc16Ccitt | Kind::Crc16Modbus) {
        inits.push(0);
    }
    let computed = kind.over(&first[place.from..place.to], 0);
    if let Some(back) = worked_back(kind, computed, value(first, place.at, kind.width(), little))
        && !inits.contains(&back)
    {
        inits.push(back);
    }
    inits
}

fn orders(kind: Kind) -> &'static [bool] {
    match (kind.width(), kind.usually_little()) {
        (1, _) => &[false],
        (_, true) => &[true, false],
        (_, false) => &[false, true],
    }
}

/// Frames of one length. `changing`: the offsets that differ between any of them; `keys`: those that could be the key.
pub(super) fn among_equal(frames: &[&[u8]], changing: &[usize], keys: &[usize]) -> Option<FoundSum> {
    let len = frames.first()?.len();
    let mut best: Option<(u32, FoundSum)> = None;
    // Long frames are tried at their end and over whole ranges only, so that a trial stays within a second.
    let long = len > LONG;
    for kind in Kind::ALL {
        let width = kind.width();
        for at in (0..=len.saturating_sub(width)).rev() {
            let own = at..at + width;
            // Its last byte changes as what it covers changes.
            if !own.clone().any(|i| changing.contains(&i)) || (long && own.end + 8 < len) {
                continue;
            }
            let left: Vec<usize> = keys.iter().copied().filter(|key| !own.contains(key)).collect();
            if left.is_empty() {
                continue;
            }
            for &little in orders(kind) {
                for from in 0..len {
                    for to in (from + 1..=len).rev() {
                        if (long && to != at)
                            || (from < own.end && to > own.start)
                            || !left.iter().any(|key| (from..to).contains(key))
                        {
                            continue;
                        }
                        let place = Place { at, from, to };
                        for (n, init) in inits(kind, frames[0], &place, little).into_iter().enumerate() {
                            // With a start worked back, a high byte that never changes is no evidence of a wide sum.
                            if n > 0 && !own.clone().all(|i| changing.contains(&i)) {
                                continue;
                            }
                            // A high byte that is not zero speaks for the wider sum.
                            let wide = n == 0 && width == 2 && value(frames[0], at, width, little) > 0xFF;
                            let cost = cost(kind, wide, n, &place, len, changing, &own);
                            if best.as_ref().is_some_and(|(known, _)| *known <= cost) {
                                continue;
                            }
                            if holds(frames, kind, init, little, |_| Place { ..place }) {
                                let found = FoundSum {
                                    kind,
                                    init,
                                    little,
                                    from: from as i64,
                                    to: to as i64,
                                    at: at as i64,
                                };
                                best = Some((cost, found));
                            }
                        }
                    }
                }
            }
        }
    }
    best.map(|(_, found)| found)
}

/// The less, the likelier: a usual start, over everything that changes, up to the checksum, near the end, simple.
fn cost(
    kind: Kind,
    wide: bool,
    init: usize,
    place: &Place,
    len: usize,
    changing: &[usize],
    own: &std::ops::Range<usize>,
) -> u32 {
    let uncovered =
        changing.iter().filter(|i| !own.contains(i) && !(place.from..place.to).contains(i)).count() as u32;
    let unusual = if init == 0 { 0 } else { 1 };
    let apart = u32::from(place.to != place.at);
    let from_end = (len - own.end) as u32;
    let complex = Kind::ALL.iter().position(|k| *k == kind).unwrap_or(0) as u32;
    let complex = if wide { 0 } else { complex + 1 };
    let short = (len - (place.to - place.from)) as u32;
    uncovered * 10_000_000
        + unusual * 1_000_000
        + apart * 100_000
        + from_end * 2_000
        + complex * 100
        + short.min(99)
}

/// Frames of several lengths: the checksum stands near the end and covers from a fixed offset up to itself.
pub(super) fn among_unequal(frames: &[&[u8]]) -> Option<FoundSum> {
    let shortest = frames.iter().map(|frame| frame.len()).min()?;
    for unusual in [false, true] {
        for behind in 0..4 {
            for kind in Kind::ALL {
                let width = kind.width();
                let Some(room) = shortest.checked_sub(behind + width).filter(|room| *room > 0) else {
                    continue;
                };
                for &little in orders(kind) {
                    for from in 0..room {
                        let place = |frame: &[u8]| {
                            let at = frame.len() - behind - width;
                            Place { at, from, to: at }
                        };
                        let inits = inits(kind, frames[0], &place(frames[0]), little);
                        for init in
                            inits.into_iter().skip(usize::from(unusual)).take(if unusual { 9 } else { 1 })
                        {
                            if holds(frames, kind, init, little, place) {
                                let at = -((behind + width) as i64);
                                return Some(FoundSum { kind, init, little, from: from as i64, to: at, at });
                            }
                        }
                    }
                }
            }
        }
    }
    None
}
