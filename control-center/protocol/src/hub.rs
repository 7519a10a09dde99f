//! The hub: keyframe-aware fan-out of one stream. One publisher puts frame messages in; any number of viewers take them
//! out, each at its own pace; nobody waits for the slowest. A viewer that falls behind the last group of pictures skips
//! to the newest key frame and is told how many frames it missed. A new viewer begins at the last key frame, so that it
//! sees a picture at once.
//!
//! The hub never copies a payload, never blocks its publisher and holds no lock across anything but a few pointer moves.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

/// How much a hub remembers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes kept; a group of pictures larger than this cannot be joined in its middle.
    pub bytes: usize,
    /// Frames kept from before the newest key frame, so that a viewer a moment late loses nothing at the turn.
    pub trail: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 * 1024 * 1024, trail: 8 }
    }
}

struct Entry {
    number: u64,
    key: bool,
    message: Bytes,
}

#[derive(Default)]
struct Ring {
    /// The newest parameters and how often they have changed.
    parameters: Option<Bytes>,
    parameters_turn: u64,
    entries: VecDeque<Entry>,
    /// The number of the newest key frame, if it is still in `entries`.
    newest_key: Option<u64>,
    next: u64,
    bytes: usize,
    ended: bool,
    viewers: Vec<Weak<Viewer>>,
}

struct Viewer {
    bell: Arc<Bell>,
    token: u32,
    /// Whether the token already stands in the bell's list.
    rung: AtomicBool,
}

/// Tells one task that some of its subscriptions have something, so that a page with 64 tiles waits in one place.
#[derive(Default)]
pub struct Bell {
    ready: Mutex<Vec<u32>>,
    notify: Notify,
}

impl Bell {
    /// A bell for one task.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Waits until a subscription has something; gives the tokens of those that do. Cancel-safe.
    pub async fn rung(&self) -> Vec<u32> {
        loop {
            let tokens = self.take();
            if !tokens.is_empty() {
                return tokens;
            }
            self.notify.notified().await;
        }
    }

    /// The tokens of the subscriptions that have something now.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *lock(&self.ready))
    }

    /// Makes [`Bell::rung`] give `token`, whether or not its subscription has anything.
    pub fn ring(&self, token: u32) {
        lock(&self.ready).push(token);
        self.notify.notify_one();
    }
}

/// A poisoned lock means that a thread died between two pointer moves; what the ring holds is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shared {
    ring: Mutex<Ring>,
    limits: Limits,
    viewers: AtomicUsize,
}

/// The publisher's end. Clones publish into the same stream.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

/// What a viewer takes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A message of kind `parameters`; it comes before the first frame and at each change.
    Parameters(Bytes),
    /// A frame message.
    Frame {
        /// The message.
        message: Bytes,
        /// Whether it is a key frame.
        key: bool,
    },
    /// So many frames were skipped; the next item is a key frame (or parameters and then a key frame).
    Missed(u64),
    /// The stream has ended and everything in it has been taken.
    Ended,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Hub {
    /// An empty stream.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), limits, viewers: AtomicUsize::new(0) }))
    }

    /// Puts in the parameters that every later frame needs. What the hub holds was coded with the old ones and is let go.
    pub fn publish_parameters(&self, message: Bytes) {
        let mut ring = lock(&self.0.ring);
        if ring.parameters.as_ref() == Some(&message) {
            return;
        }
        ring.parameters = Some(message);
        ring.parameters_turn += 1;
        ring.entries.clear();
        ring.bytes = 0;
        ring.newest_key = None;
        ring.wake();
    }

    /// Puts in a frame message.
    pub fn publish(&self, message: Bytes, key: bool) {
        let limits = self.0.limits;
        let mut ring = lock(&self.0.ring);
        let number = ring.next;
        ring.next += 1;
        if key {
            let trailing = ring.entries.iter().rev().take_while(|entry| !entry.key).count();
            let keep = trailing.min(limits.trail);
            while ring.entries.len() > keep {
                ring.drop_oldest();
            }
            ring.newest_key = Some(number);
        }
        ring.bytes += message.len();
        ring.entries.push_back(Entry { number, key, message });
        while ring.bytes > limits.bytes && ring.entries.len() > 1 {
            ring.drop_oldest();
        }
        ring.wake();
    }

    /// Ends the stream: viewers take what is left and then [`Item::Ended`].
    pub fn end(&self) {
        let mut ring = lock(&self.0.ring);
        ring.ended = true;
        ring.wake();
    }

    /// How many viewers there are.
    pub fn viewers(&self) -> usize {
        self.0.viewers.load(Ordering::Relaxed)
    }

    /// The newest key frame with its parameters, where the hub holds one: a picture without waiting.
    pub fn newest_key(&self) -> Option<(Option<Bytes>, Bytes)> {
        let ring = lock(&self.0.ring);
        let number = ring.newest_key?;
        let entry = ring.entries.iter().find(|entry| entry.number == number)?;
        Some((ring.parameters.clone(), entry.message.clone()))
    }

    /// Bytes held now.
    pub fn held_bytes(&self) -> usize {
        lock(&self.0.ring).bytes
    }

    /// A viewer that begins at the newest key frame and rings `bell` with `token` whenever it has something.
    pub fn subscribe(&self, bell: Arc<Bell>, token: u32) -> Subscription {
        let viewer = Arc::new(Viewer { bell, token, rung: AtomicBool::new(false) });
        let mut ring = lock(&self.0.ring);
        ring.viewers.retain(|viewer| viewer.strong_count() > 0);
        ring.viewers.push(Arc::downgrade(&viewer));
        let wanted = ring.newest_key.unwrap_or(ring.next);
        self.0.viewers.fetch_add(1, Ordering::Relaxed);
        viewer.ring_once();
        Subscription { shared: self.0.clone(), viewer, wanted, parameters_turn: 0, at_key: true }
    }

    /// A viewer with a bell of its own, for a task that watches one stream.
    pub fn watch(&self) -> Watch {
        let bell = Bell::new();
        Watch { subscription: self.subscribe(bell.clone(), 0), bell }
    }
}

impl Ring {
    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.message.len();
            if self.newest_key == Some(entry.number) {
                self.newest_key = None;
            }
        }
    }

    fn wake(&self) {
        for viewer in self.viewers.iter().filter_map(Weak::upgrade) {
            viewer.ring_once();
        }
    }
}

impl Viewer {
    fn ring_once(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.ring(self.token);
        }
    }
}

/// A viewer's end of a stream. Dropping it leaves the stream.
pub struct Subscription {
    shared: Arc<Shared>,
    viewer: Arc<Viewer>,
    wanted: u64,
    parameters_turn: u64,
    /// The next frame given out must be a key frame.
    at_key: bool,
}

impl Subscription {
    /// The next item, or `None` when there is nothing yet; the bell rings when there is.
    pub fn take(&mut self) -> Option<Item> {
        // Cleared before looking: what is published from here on rings again.
        self.viewer.rung.store(false, Ordering::Release);
        let ring = lock(&self.shared.ring);
        if self.parameters_turn != ring.parameters_turn
            && let Some(parameters) = &ring.parameters
        {
            self.parameters_turn = ring.parameters_turn;
            self.at_key = true;
            return Some(Item::Parameters(parameters.clone()));
        }
        let oldest = ring.entries.front().map_or(ring.next, |entry| entry.number);
        if self.wanted < oldest {
            self.at_key = true;
        }
        if self.at_key {
            // A frame published before the newest key frame is of no use to a viewer that must begin with one.
            let start = ring.newest_key.unwrap_or(ring.next).max(self.wanted);
            let missed = start - self.wanted;
            self.wanted = start;
            if missed > 0 {
                return Some(Item::Missed(missed));
            }
        }
        match ring.entries.get((self.wanted - oldest.min(self.wanted)) as usize) {
            Some(entry) => {
                self.wanted = entry.number + 1;
                self.at_key = false;
                Some(Item::Frame { message: entry.message.clone(), key: entry.key })
            }
            None if ring.ended => Some(Item::Ended),
            None => None,
        }
    }

    /// Leaves out everything up to the newest key frame; gives how many frames were skipped.
    pub fn skip_to_newest_key(&mut self) -> u64 {
        let ring = lock(&self.shared.ring);
        let start = ring.newest_key.unwrap_or(ring.next).max(self.wanted);
        let missed = start - self.wanted;
        self.wanted = start;
        self.at_key = true;
        missed
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A [`Subscription`] that can be awaited.
pub struct Watch {
    subscription: Subscription,
    bell: Arc<Bell>,
}

impl Watch {
    /// The next item. Cancel-safe.
    pub async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.subscription.take() {
                return item;
            }
            self.bell.rung().await;
        }
    }

    /// The next item if there is one now.
    pub fn take(&mut self) -> Option<Item> {
        self.subscription.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(number: u64) -> Bytes {
        Bytes::from(number.to_string())
    }

    fn frame(number: u64, key: bool) -> Item {
        Item::Frame { message: message(number), key }
    }

    #[test]
    fn a_new_viewer_begins_at_the_newest_key_frame() {
        let hub = Hub::default();
        hub.publish_parameters(Bytes::from_static(b"p"));
        for number in 0..5 {
            hub.publish(message(number), number == 3);
        }
        let mut watch = hub.watch();
        assert_eq!(watch.take(), Some(Item::Parameters(Bytes::from_static(b"p"))));
        assert_eq!(watch.take(), Some(frame(3, true)));
        assert_eq!(watch.take(), Some(frame(4, false)));
        assert_eq!(watch.take(), None);
        hub.publish(message(5), false);
        hub.end();
        assert_eq!(watch.take(), Some(frame(5, false)));
        assert_eq!(watch.take(), Some(Item::Ended));
    }

    #[test]
    fn a_viewer_a_moment_late_loses_nothing_and_one_that_slept_skips() {
        let hub = Hub::new(Limits { bytes: 1 << 20, trail: 2 });
        let mut late = hub.watch();
        hub.publish(message(0), true);
        assert_eq!(late.take(), Some(frame(0, true)));
        hub.publish(message(1), false);
        hub.publish(message(2), true);
        assert_eq!(late.take(), Some(frame(1, false)));
        assert_eq!(late.take(), Some(frame(2, true)));
        for number in 3..10 {
            hub.publish(message(number), number == 9);
        }
        assert_eq!(late.take(), Some(Item::Missed(6)));
        assert_eq!(late.take(), Some(frame(9, true)));
    }

    #[test]
    fn memory_is_bounded_when_key_frames_stop() {
        let hub = Hub::new(Limits { bytes: 1000, trail: 2 });
        hub.publish(Bytes::from(vec![0; 300]), true);
        for _ in 0..100 {
            hub.publish(Bytes::from(vec![0; 100]), false);
        }
        assert!(hub.held_bytes() <= 1000);
        assert!(hub.newest_key().is_none());
        let mut watch = hub.watch();
        assert_eq!(watch.take(), None);
        hub.publish(message(7), true);
        assert_eq!(watch.take(), Some(frame(7, true)));
    }

    #[test]
    fn changed_parameters_come_before_the_frames_that_need_them() {
        let hub = Hub::default();
        hub.publish_parameters(Bytes::from_static(b"p1"));
        hub.publish(message(0), true);
        let mut watch = hub.watch();
        assert_eq!(watch.take(), Some(Item::Parameters(Bytes::from_static(b"p1"))));
        assert_eq!(watch.take(), Some(frame(0, true)));
        hub.publish(message(1), false);
        hub.publish_parameters(Bytes::from_static(b"p2"));
        hub.publish(message(2), true);
        assert_eq!(watch.take(), Some(Item::Parameters(Bytes::from_static(b"p2"))));
        assert_eq!(watch.take(), Some(Item::Missed(1)));
        assert_eq!(watch.take(), Some(frame(2, true)));
    }

    #[tokio::test]
    async fn one_bell_serves_many_streams() {
        let hubs: Vec<Hub> = (0..3).map(|_| Hub::default()).collect();
        let bell = Bell::new();
        let mut subscriptions: Vec<_> =
            hubs.iter().enumerate().map(|(i, hub)| hub.subscribe(bell.clone(), i as u32)).collect();
        assert_eq!(bell.rung().await, [0, 1, 2]);
        assert!(subscriptions.iter_mut().all(|s| s.take().is_none()));
        hubs[1].publish(message(0), true);
        hubs[1].publish(message(1), false);
        assert_eq!(bell.rung().await, [1]);
        assert_eq!(subscriptions[1].take(), Some(frame(0, true)));
        assert_eq!(hubs[1].viewers(), 1);
        drop(subscriptions);
        assert_eq!(hubs[1].viewers(), 0);
    }

    proptest! {
        /// Whatever the pace, a viewer sees frames in order, begins and resumes at key frames, and taken + missed = published.
        #[test]
        fn nothing_is_doubled_reordered_or_unaccounted(steps in proptest::collection::vec((any::<bool>(), 0u8..4), 1..200), trail in 0usize..4) {
            let hub = Hub::new(Limits { bytes: 1 << 20, trail });
            let mut watch = hub.watch();
            let mut published = 0u64;
            let mut expected = 0u64;
            let mut must_be_key = true;
            for (key, takes) in steps {
                hub.publish(message(published), key);
                published += 1;
                for _ in 0..takes {
                    match watch.take() {
                        Some(Item::Frame { message: bytes, key }) => {
                            prop_assert_eq!(bytes, message(expected));
                            prop_assert!(key || !must_be_key);
                            must_be_key = false;
                            expected += 1;
                        }
                        Some(Item::Missed(count)) => {
                            expected += count;
                            must_be_key = true;
                        }
                        Some(other) => prop_assert!(false, "{:?}", other),
                        None => break,
                    }
                }
            }
            while let Some(item) = watch.take() {
                match item {
                    Item::Missed(count) => expected += count,
                    _ => expected += 1,
                }
            }
            prop_assert_eq!(expected, published);
        }
    }
}
