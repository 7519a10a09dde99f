//! Which frames are presses, which are repetitions, and which are something else.

use std::{collections::BTreeMap, time::Duration};

use super::{Burst, Label, Unproposable, label_name};

/// The presses of one button: the first frame of each.
pub(super) struct Button {
    pub(super) label: Label,
    pub(super) presses: Vec<Vec<u8>>,
}

/// A capture, sorted.
pub(super) struct Heard {
    pub(super) buttons: Vec<Button>,
    /// Frames that are no press: at release, of the device's own accord.
    pub(super) others: Vec<Vec<u8>>,
    /// Most frames alike in one press.
    pub(super) times: usize,
    /// Longest time from one of them to the next.
    pub(super) repeat_gap: Duration,
    /// Shortest time between two presses.
    pub(super) press_gap: Duration,
}

/// The shortest piece of which a burst is made by saying it again and again.
fn once(bytes: &[u8]) -> (&[u8], usize) {
    let len = bytes.len();
    let period =
        (3..=len / 2).find(|p| len.is_multiple_of(*p) && bytes.chunks(*p).all(|piece| piece == &bytes[..*p]));
    period.map_or((bytes, 1), |p| (&bytes[..p], len / p))
}

/// What a device says of its own accord: per length, the bytes that do not change.
fn of_its_own(bursts: &[Burst]) -> impl Fn(&[u8]) -> bool {
    let mut known: BTreeMap<usize, Vec<Option<u8>>> = BTreeMap::new();
    for burst in bursts.iter().filter(|burst| burst.label == Label::Background) {
        let (bytes, _) = once(&burst.bytes);
        let fresh = || bytes.iter().map(|b| Some(*b)).collect();
        let shape = known.entry(bytes.len()).or_insert_with(fresh);
        shape.iter_mut().zip(bytes).for_each(|(known, byte)| *known = known.filter(|k| k == byte));
    }
    move |bytes| {
        known.get(&bytes.len()).is_some_and(|shape| {
            shape.iter().any(Option::is_some)
                && shape.iter().zip(bytes).all(|(known, b)| known.is_none_or(|k| k == *b))
        })
    }
}

pub(super) fn sort(bursts: &[Burst], pressed: usize) -> Result<Heard, Unproposable> {
    let own = of_its_own(bursts);
    let mut labels: Vec<Label> = Vec::new();
    for burst in bursts.iter().filter(|burst| burst.label != Label::Background) {
        if !labels.contains(&burst.label) {
            labels.push(burst.label);
        }
    }
    if labels.len() < 2 {
        return Err(Unproposable::TooFewButtons);
    }
    // What is heard alike under two labels says nothing of either.
    let common = |bytes: &[u8]| {
        let under = |label: &&Label| bursts.iter().any(|b| b.label == **label && once(&b.bytes).0 == bytes);
        labels.iter().filter(under).count() > 1
    };
    let mut heard = Heard {
        buttons: Vec::new(),
        others: bursts
            .iter()
            .filter(|b| b.label == Label::Background)
            .map(|b| once(&b.bytes).0.to_vec())
            .collect(),
        times: 1,
        repeat_gap: Duration::ZERO,
        press_gap: Duration::MAX,
    };
    for label in labels.iter().copied() {
        let mut mine: Vec<&Burst> =
            bursts.iter().filter(|b| b.label == label && !b.bytes.is_empty()).collect();
        mine.sort_by_key(|burst| burst.at);
        let (other, mine): (Vec<&Burst>, Vec<&Burst>) =
            mine.into_iter().partition(|b| common(once(&b.bytes).0) || own(once(&b.bytes).0));
        heard.others.extend(other.iter().map(|b| once(&b.bytes).0.to_vec()));
        if mine.len() < pressed {
            return Err(Unproposable::NotHeard { label: label_name(label), pressed, heard: mine.len() });
        }
        // The longest silences are those between presses.
        let mut gaps: Vec<(Duration, usize)> =
            mine.windows(2).enumerate().map(|(i, pair)| (pair[1].at.since(pair[0].at), i + 1)).collect();
        gaps.sort_by_key(|gap| std::cmp::Reverse(*gap));
        let mut cuts: Vec<usize> = gaps.iter().take(pressed - 1).map(|(_, at)| *at).collect();
        heard.press_gap =
            gaps.iter().take(pressed - 1).map(|(gap, _)| *gap).fold(heard.press_gap, Duration::min);
        heard.repeat_gap =
            gaps.iter().skip(pressed - 1).map(|(gap, _)| *gap).fold(heard.repeat_gap, Duration::max);
        cuts.sort_unstable();
        cuts.insert(0, 0);
        cuts.push(mine.len());
        let mut presses = Vec::new();
        for cut in cuts.windows(2) {
            let press = &mine[cut[0]..cut[1]];
            let Some(first) = press.first().map(|burst| once(&burst.bytes).0.to_vec()) else { continue };
            let alike = press.iter().filter(|b| once(&b.bytes).0 == first).map(|b| once(&b.bytes).1).sum();
            heard.times = heard.times.max(alike);
            heard.others.extend(press.iter().map(|b| once(&b.bytes).0.to_vec()).filter(|b| *b != first));
            presses.push(first);
        }
        if presses.iter().any(|frame| frame.len() != presses[0].len()) {
            return Err(Unproposable::Unsteady(label_name(label)));
        }
        heard.buttons.push(Button { label, presses });
    }
    Ok(heard)
}
