//! The recorder's end of a stream: every frame as the hub has it, whatever browsers can play.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use control_protocol::hub::{Bell, Item, Subscription};
use device_drivers::camera::SoundFrame;

use super::stream::{Claim, Stream};

/// Pieces of sound that wait for the recorder: some ten seconds. Nobody else is given sound.
const MOST_SOUND: usize = 512;

/// Sound on its way to the recorder; what it does not take in time is lost, oldest first, and is silence in the recording.
#[derive(Default)]
pub(super) struct SoundLine(Mutex<VecDeque<SoundFrame>>);

impl SoundLine {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<SoundFrame>> {
        // Nothing is left half done by a panic: each holder makes one change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, heard: SoundFrame) {
        let mut waiting = self.waiting();
        if waiting.len() >= MOST_SOUND {
            waiting.pop_front();
        }
        waiting.push_back(heard);
    }
}

/// A stream for somebody who takes all of it; it is pulled while this is held.
pub struct Tap {
    stream: Arc<Stream>,
    subscription: Subscription,
    _claim: Claim,
}

impl Tap {
    pub(super) fn of(stream: &Arc<Stream>, bell: Arc<Bell>, token: u32) -> Self {
        let subscription = stream.hub.subscribe(bell, token);
        Self { stream: stream.clone(), subscription, _claim: stream.claim() }
    }

    /// The next item, if there is one now.
    pub fn take(&mut self) -> Option<Item> {
        self.subscription.take()
    }

    /// The sound that came since it was last asked for.
    pub fn take_sound(&self) -> VecDeque<SoundFrame> {
        std::mem::take(&mut *self.stream.sound.waiting())
    }

    /// Why there are no pictures, where that is known.
    pub fn why(&self) -> Option<String> {
        self.stream.status().why
    }
}
