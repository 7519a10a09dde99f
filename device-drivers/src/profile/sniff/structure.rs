//! What frames have in common: length, constants, the checksum, and the byte that says which button.

use std::collections::BTreeSet;

use super::{FoundSum, Unproposable, presses::Heard, sums};

/// Where a frame ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Fixed(usize),
    Length { offset: usize, width: usize, little: bool, add: i64, repeat_at: Option<usize> },
    Tail,
    Silence,
}

/// How the frames are built.
#[derive(Clone, Debug)]
pub(super) struct Structure {
    pub(super) end: End,
    /// Offsets and bytes that never change.
    pub(super) constants: Vec<(usize, u8)>,
    /// Bytes at the end that never change.
    pub(super) tail: Vec<u8>,
    pub(super) sum: Option<FoundSum>,
    pub(super) key: usize,
    pub(super) mask: u8,
    /// Offsets that change from press to press of one button.
    pub(super) changing: Vec<usize>,
    /// Offsets that may be anything in a press, since something in it changes by itself.
    pub(super) open: Vec<usize>,
    pub(super) shortest: usize,
    pub(super) longest: usize,
}

/// The masks that are tried on a byte.
const MASKS: [u8; 3] = [0xFF, 0x0F, 0xF0];

/// The offset and mask of a byte that is steady under each button and different between all.
fn tells_apart(heard: &Heard, offset: usize, mask: u8) -> bool {
    let mut seen = BTreeSet::new();
    heard.buttons.iter().all(|button| {
        let values: BTreeSet<u8> = button.presses.iter().map(|frame| frame[offset] & mask).collect();
        match values.first() {
            Some(value) => values.len() == 1 && seen.insert(*value),
            None => false,
        }
    })
}

fn length_field(frames: &[&[u8]], shortest: usize) -> Option<End> {
    let read = |frame: &[u8], offset: usize, width: usize, little: bool| match (width, little) {
        (1, _) => i64::from(frame[offset]),
        (_, true) => i64::from(u16::from_le_bytes([frame[offset], frame[offset + 1]])),
        (_, false) => i64::from(u16::from_be_bytes([frame[offset], frame[offset + 1]])),
    };
    for (width, little) in [(2, false), (2, true), (1, false)] {
        for offset in 0..(shortest + 1).saturating_sub(width) {
            let add = frames[0].len() as i64 - read(frames[0], offset, width, little);
            let says = |frame: &&[u8]| read(frame, offset, width, little) + add == frame.len() as i64;
            if !(0..=16).contains(&add) || !frames.iter().all(says) {
                continue;
            }
            let again = |at: usize| frames.iter().all(|f| f[at..at + width] == f[offset..offset + width]);
            let repeat_at = (offset + width..(shortest + 1).saturating_sub(width)).find(|at| again(*at));
            return Some(End::Length { offset, width, little, add, repeat_at });
        }
    }
    None
}

pub(super) fn find(heard: &Heard) -> Result<Structure, Unproposable> {
    let presses: Vec<&[u8]> = heard.buttons.iter().flat_map(|b| &b.presses).map(Vec::as_slice).collect();
    let lengths: BTreeSet<usize> = presses.iter().map(|frame| frame.len()).collect();
    let (Some(&shortest), Some(&longest)) = (lengths.first(), lengths.last()) else {
        return Err(Unproposable::TooFewButtons);
    };
    let equal = shortest == longest;
    // What the device says besides may show what the presses alone do not: which byte is the length.
    let family: Vec<&[u8]> = {
        let alike = |frame: &&[u8]| frame.len() >= 3 && frame[0] == presses[0][0];
        let others = heard.others.iter().map(Vec::as_slice).filter(alike);
        presses.iter().copied().chain(others).collect()
    };
    let family_shortest = family.iter().map(|frame| frame.len()).min().unwrap_or(shortest);
    let family_longest = family.iter().map(|frame| frame.len()).max().unwrap_or(longest);
    let by_length =
        (family_shortest != family_longest).then(|| length_field(&family, family_shortest)).flatten();
    let frames = if by_length.is_some() { family } else { presses.clone() };
    let shared = frames.iter().map(|frame| frame.len()).min().unwrap_or(shortest);

    let changes = |i: &usize| presses.iter().any(|frame| frame[*i] != presses[0][*i]);
    let varying: Vec<usize> = (0..shortest).filter(changes).collect();
    let unsteady =
        |i: &usize| heard.buttons.iter().any(|b| b.presses.iter().any(|frame| frame[*i] != b.presses[0][*i]));
    let candidates: Vec<(usize, u8)> = MASKS
        .iter()
        .flat_map(|mask| varying.iter().map(move |i| (*i, *mask)))
        .filter(|(i, mask)| tells_apart(heard, *i, *mask))
        .collect();
    if candidates.is_empty() {
        return Err(Unproposable::NoKeyByte);
    }
    let offsets: Vec<usize> = candidates.iter().map(|(i, _)| *i).collect();
    let sum = if equal {
        // Others of the same length obey the same checksum, or none of ours.
        let same: Vec<&[u8]> = frames.iter().copied().filter(|frame| frame.len() == shortest).collect();
        sums::among_equal(&same, &varying, &offsets)
            .or_else(|| sums::among_equal(&presses, &varying, &offsets))
    } else {
        sums::among_unequal(&frames)
    };
    // With frames of other lengths about, a checksum near the end stays near the end.
    let sum = sum.map(|found| from_the_end(found, shortest, by_length.is_some() || !equal));
    let sum = sum.filter(|found| by_length.is_none() || frames.iter().all(|frame| holds(found, frame)));
    let in_sum = |i: usize| {
        sum.as_ref().is_some_and(|s| {
            let at = if s.at < 0 { shortest as i64 + s.at } else { s.at };
            (at..at + s.kind.width() as i64).contains(&(i as i64))
        })
    };
    let (key, mask) = candidates.iter().copied().find(|(i, _)| !in_sum(*i)).unwrap_or(candidates[0]);
    let mut end = match by_length {
        Some(length) => length,
        None if equal => End::Fixed(shortest),
        None => {
            let same_end = presses.iter().all(|frame| frame.last() == presses[0].last());
            if same_end { End::Tail } else { End::Silence }
        }
    };
    let mut constants: Vec<(usize, u8)> = (0..shared)
        .filter(|i| frames.iter().all(|frame| frame[*i] == frames[0][*i]))
        .map(|i| (i, frames[0][i]))
        .collect();
    if matches!(end, End::Fixed(_)) {
        constants.retain(|(i, _)| !in_sum(*i));
    }
    let mut tail = Vec::new();
    if !matches!(end, End::Fixed(_)) {
        let same =
            |n: usize| frames.iter().all(|frame| frame[frame.len() - n] == frames[0][frames[0].len() - n]);
        let reach = (1..=shared.min(4)).take_while(|n| same(*n)).last().unwrap_or(0);
        let room =
            sum.as_ref().map_or(reach, |s| if s.at < 0 { (-s.at) as usize - s.kind.width() } else { reach });
        tail = frames[0][frames[0].len() - reach.min(room)..].to_vec();
        // The key may stand where frames of another length have their end.
        let steady = shared - tail.len();
        constants.retain(|(i, _)| *i < steady);
    }
    if end == End::Tail && tail.is_empty() {
        end = End::Silence;
    }
    let changing: Vec<usize> =
        varying.iter().copied().filter(|i| unsteady(i) && !in_sum(*i) && *i != key).collect();
    let moves = mask != 0xFF || !changing.is_empty();
    let open = (0..shortest).filter(|i| moves && *i != key && (varying.contains(i) || in_sum(*i))).collect();
    let longest = frames.iter().map(|frame| frame.len()).max().unwrap_or(longest);
    Ok(Structure { end, constants, tail, sum, key, mask, changing, open, shortest: shared, longest })
}

fn from_the_end(found: FoundSum, len: usize, relative: bool) -> FoundSum {
    if !relative || found.at < 0 {
        return found;
    }
    let len = len as i64;
    let to = if found.to == found.at { found.at - len } else { found.to };
    FoundSum { at: found.at - len, to, ..found }
}

fn holds(sum: &FoundSum, frame: &[u8]) -> bool {
    let len = frame.len() as i64;
    let place = |at: i64| usize::try_from(if at < 0 { len + at } else { at }).ok();
    let (Some(at), Some(from), Some(to)) = (place(sum.at), place(sum.from), place(sum.to)) else {
        return false;
    };
    let Some(covered) = frame.get(from..to) else { return false };
    let Some(found) = frame.get(at..at + sum.kind.width()) else { return false };
    let [high, low] = sum.kind.over(covered, sum.init).to_be_bytes();
    match (found, sum.little) {
        ([byte], _) => *byte == low,
        ([a, b], true) => (*a, *b) == (low, high),
        ([a, b], false) => (*a, *b) == (high, low),
        _ => false,
    }
}
