//! Long texts cut into parts, and parts put together again (3GPP TS 23.040, 9.2.3.24.1).

use std::{collections::BTreeMap, time::Duration};

use super::{
    PhoneNumber, alphabet,
    pdu::{Concat, Content, Deliver, Submit},
};
use crate::clock::Mono;

/// A text that needs more parts is refused: each part is a message to be paid for.
pub const MOST_PARTS: usize = 10;
/// Parts of a message whose other parts have not come in this time are given as they are.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Unfinished messages kept; the oldest is given as it is when there are more.
const MOST_UNFINISHED: usize = 64;

/// A text too long to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text needs more than {MOST_PARTS} parts: make it shorter")]
pub struct TooLong;

/// A text as messages: one if it fits, else parts with this reference. No character is cut in two.
///
/// # Errors
/// A text of more than [`MOST_PARTS`] parts.
pub fn cut(to: &PhoneNumber, text: &str, reference: u8) -> Result<Vec<Submit>, TooLong> {
    let gsm = alphabet::encode(text).is_some();
    let (alone, part) = if gsm { (160, 153) } else { (70, 67) };
    let width = |c: char| match alphabet::septets_of(c) {
        Some((escape, _)) if gsm => 1 + usize::from(escape.is_some()),
        _ => c.len_utf16(),
    };
    let whole: usize = text.chars().map(width).sum();
    let submit = |text: &str, concat| {
        let content = match alphabet::encode(text) {
            Some(septets) if gsm => Content::Gsm7(septets),
            _ => Content::Ucs2(text.encode_utf16().collect()),
        };
        Submit { to: to.clone(), content, concat, validity: None, report: false }
    };
    if whole <= alone {
        return Ok(vec![submit(text, None)]);
    }
    let mut pieces = vec![String::new()];
    let mut room = part;
    for c in text.chars() {
        if width(c) > room {
            if pieces.len() == MOST_PARTS {
                return Err(TooLong);
            }
            pieces.push(String::new());
            room = part;
        }
        room -= width(c);
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    let total = u8::try_from(pieces.len()).map_err(|_| TooLong)?;
    Ok((1..=total)
        .zip(&pieces)
        .map(|(sequence, piece)| {
            let concat = Concat { reference: u16::from(reference), wide: false, total, sequence };
            submit(piece, Some(concat))
        })
        .collect())
}

/// A message with all its parts, or what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole<T> {
    /// From whom.
    pub from: PhoneNumber,
    /// What; where a part is missing, `…`.
    pub text: String,
    /// When the service centre took its first part.
    pub sent: Option<jiff::Timestamp>,
    /// Whether every part is there.
    pub complete: bool,
    /// What came with the parts: where they are stored.
    pub stored: Vec<T>,
}

#[derive(Debug)]
struct Unfinished<T> {
    first: Mono,
    parts: BTreeMap<u8, Deliver>,
    stored: Vec<T>,
}

type Key = (PhoneNumber, u16, bool, u8);

/// Puts parts together. `T` is what the caller keeps with each part.
#[derive(Debug)]
pub struct Assembly<T> {
    unfinished: BTreeMap<Key, Unfinished<T>>,
}

impl<T> Default for Assembly<T> {
    fn default() -> Self {
        Self { unfinished: BTreeMap::new() }
    }
}

impl<T> Assembly<T> {
    /// Takes a message or a part of one; gives the message once it is whole.
    pub fn take(&mut self, message: Deliver, stored: T, now: Mono) -> Option<Whole<T>> {
        let Some(concat) = message.concat else {
            let text = message.content.text();
            return Some(Whole {
                from: message.from,
                text,
                sent: message.sent,
                complete: true,
                stored: vec![stored],
            });
        };
        let key = (message.from.clone(), concat.reference, concat.wide, concat.total);
        let unfinished = self.unfinished.entry(key.clone()).or_insert_with(|| Unfinished {
            first: now,
            parts: BTreeMap::new(),
            stored: Vec::new(),
        });
        unfinished.parts.insert(concat.sequence, message);
        unfinished.stored.push(stored);
        if unfinished.parts.len() < usize::from(concat.total) {
            return None;
        }
        let done = self.unfinished.remove(&key)?;
        Some(whole(key, done))
    }

    /// What has waited too long for its other parts, or has to make room; to be asked until `None`.
    pub fn give_up(&mut self, now: Mono) -> Option<Whole<T>> {
        let (key, oldest) = self.unfinished.iter().min_by_key(|(_, unfinished)| unfinished.first)?;
        if self.unfinished.len() <= MOST_UNFINISHED && now.since(oldest.first) < PATIENCE {
            return None;
        }
        let key = key.clone();
        let given = self.unfinished.remove(&key)?;
        Some(whole(key, given))
    }

    /// Messages of which a part is missing.
    pub fn unfinished(&self) -> usize {
        self.unfinished.len()
    }
}

fn whole<T>((from, _, _, total): Key, unfinished: Unfinished<T>) -> Whole<T> {
    let complete = unfinished.parts.len() == usize::from(total);
    let sent = unfinished.parts.values().next().and_then(|part| part.sent);
    let mut joined: Vec<Content> = Vec::new();
    let mut expected = 1;
    let missing = || Content::Ucs2(vec![0x2026]);
    for (sequence, part) in unfinished.parts {
        if sequence != expected {
            joined.push(missing());
        }
        expected = sequence.saturating_add(1);
        // A character may be cut in two by other people's phones: parts are joined before they are read.
        match (joined.last_mut(), part.content) {
            (Some(Content::Gsm7(all)), Content::Gsm7(more)) => all.extend(more),
            (Some(Content::Ucs2(all)), Content::Ucs2(more)) => all.extend(more),
            (Some(Content::Octets(all)), Content::Octets(more)) => all.extend(more),
            (_, other) => joined.push(other),
        }
    }
    if !complete && expected <= total {
        joined.push(missing());
    }
    let text = joined.iter().map(Content::text).collect();
    Whole { from, text, sent, complete, stored: unfinished.stored }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> PhoneNumber {
        "+8613800138000".parse().unwrap()
    }

    fn delivered(message: &Submit) -> Deliver {
        Deliver {
            from: message.to.clone(),
            content: message.content.clone(),
            concat: message.concat,
            sent: None,
        }
    }

    fn at(hours: u64) -> Mono {
        Mono(hours * 3_600_000_000)
    }

    #[test]
    fn lengths_of_parts() {
        let parts = |text: String| cut(&number(), &text, 1).map(|parts| parts.len());
        assert_eq!(parts("a".repeat(160)), Ok(1));
        assert_eq!(parts("a".repeat(161)), Ok(2));
        assert_eq!(parts("a".repeat(306)), Ok(2));
        assert_eq!(parts("€".repeat(80)), Ok(1));
        assert_eq!(parts("€".repeat(81)), Ok(2));
        assert_eq!(parts("评".repeat(70)), Ok(1));
        assert_eq!(parts("评".repeat(71)), Ok(2));
        assert_eq!(parts("评".repeat(670)), Ok(10));
        assert_eq!(parts("评".repeat(671)), Err(TooLong));
        // 76 escapes fit into 153 septets, and one septet stays free.
        let cut = cut(&number(), &"€".repeat(100), 1).unwrap();
        assert!(matches!(&cut[0].content, Content::Gsm7(septets) if septets.len() == 152));
    }

    #[test]
    fn a_part_that_never_comes() {
        let parts = cut(&number(), &"评".repeat(150), 9).unwrap();
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(delivered(&parts[0]), 'a', at(0)), None);
        assert_eq!(assembly.take(delivered(&parts[2]), 'c', at(1)), None);
        assert_eq!(assembly.give_up(at(23)), None);
        let given = assembly.give_up(at(24)).unwrap();
        assert_eq!(given.text, format!("{}…{}", "评".repeat(67), "评".repeat(16)));
        assert!(!given.complete);
        assert_eq!(given.stored, ['a', 'c']);
        assert_eq!(assembly.unfinished(), 0);
    }

    #[test]
    fn a_character_cut_in_two_by_the_sender() {
        let mut assembly = Assembly::default();
        let units: Vec<u16> = "好😀".encode_utf16().collect();
        let mut part = |sequence, units: &[u16]| {
            let concat = Some(Concat { reference: 700, wide: true, total: 2, sequence });
            let content = Content::Ucs2(units.to_vec());
            assembly.take(Deliver { from: number(), content, concat, sent: None }, (), at(0))
        };
        assert_eq!(part(2, &units[2..]), None);
        assert_eq!(part(1, &units[..2]).unwrap().text, "好😀");
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembly = Assembly::default();
        for reference in 0..1000 {
            let concat = Some(Concat { reference, wide: true, total: 2, sequence: 1 });
            let content = Content::of("x");
            assembly.take(Deliver { from: number(), content, concat, sent: None }, (), at(0));
            while assembly.give_up(at(0)).is_some() {}
            assert!(assembly.unfinished() <= MOST_UNFINISHED);
        }
    }

    proptest! {
        /// Any text comes back, whatever the order of its parts, and every part fits into a PDU.
        #[test]
        fn any_text_comes_back(text in "([a-z€ ]|[好评😀]|\n){0,400}", reference: u8, seed: u64) {
            let Ok(mut messages) = cut(&number(), &text, reference) else { return Ok(()) };
            let count = messages.len();
            for at in 0..count {
                let other = usize::try_from(seed.rotate_left(u32::try_from(at).unwrap()) % count as u64).unwrap();
                messages.swap(at, other);
            }
            let mut assembly = Assembly::default();
            let mut given = None;
            for message in &messages {
                prop_assert!(given.is_none());
                message.encode().unwrap();
                given = assembly.take(delivered(message), (), Mono(0));
            }
            prop_assert_eq!(given.unwrap().text, text);
        }
    }
}
