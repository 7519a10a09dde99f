//! Frames of one camera into fragments. Pure.
//!
//! A fragment is a group of pictures; one of minutes (smart codecs) is cut in parts, so that neither memory nor what a
//! power cut costs grows with it. The wall time of a fragment comes from the frame that came with the least delay: frames
//! arrive late, never early. Each fragment is placed anew, so that a camera's clock cannot drift away.

use std::sync::Arc;

use bytes::Bytes;
use control_protocol::event::ClockQuality;

use super::{
    segment::{Fragment, Frame, Heard, SampleEntry, Sound},
    why::Why,
};

/// The longest part, µs.
const LONGEST_US: i64 = 4_000_000;
/// The largest part, bytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// Sound that is off by more than this is heard to be: it is placed anew.
const HEARD_US: u64 = 100_000;
/// The most pieces of sound in a fragment.
const MOST_SOUND: usize = 4096;
/// A larger change of the clock than this begins a new run; smaller ones are followed.
pub(super) const STEP_US: i64 = 500_000;

/// A frame as it comes.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) pts_us: i64,
    /// When it arrived, on the monotonic clock.
    pub(super) mono_us: i64,
    pub(super) key: bool,
    pub(super) lossy: bool,
    pub(super) data: Bytes,
}

/// A piece of sound as it comes.
#[derive(Debug, Clone)]
pub(super) struct Sounded {
    pub(super) of: Arc<Sound>,
    /// When it begins, on the camera's own line of time for sound.
    pub(super) raw_us: i64,
    pub(super) length_us: i64,
    /// When it arrived, on the monotonic clock.
    pub(super) mono_us: i64,
    pub(super) data: Bytes,
}

/// The sound that is not in a fragment yet.
#[derive(Debug, Default)]
struct Listening {
    /// The pictures' line of time less the sound's: as it was until it is wrong by more than anybody hears.
    offset_us: Option<i64>,
    pieces: Vec<Sounded>,
}

impl Listening {
    /// The sound of a fragment whose pictures have the least delay `anchor_us`. Sound arrives late too, and never early.
    fn take(&mut self, of: Option<&Arc<Sound>>, anchor_us: i64) -> Vec<Heard> {
        let pieces = std::mem::take(&mut self.pieces);
        let pieces = || pieces.iter().filter(|piece| Some(&piece.of) == of);
        let Some(least) = pieces().map(|piece| piece.mono_us - piece.raw_us).min() else {
            return Vec::new();
        };
        let now = least.saturating_sub(anchor_us);
        let offset = match self.offset_us {
            Some(offset) if offset.abs_diff(now) <= HEARD_US => offset,
            _ => *self.offset_us.insert(now),
        };
        let placed = |piece: &Sounded| Heard {
            pts_us: piece.raw_us.saturating_add(offset),
            length_us: piece.length_us,
            data: piece.data.clone(),
        };
        pieces().map(placed).collect()
    }
}

/// What goes to the writer.
#[derive(Debug)]
pub(super) enum Gathered {
    Fragment {
        entry: Arc<SampleEntry>,
        /// It does not go on from what came before.
        begins: Option<Why>,
        fragment: Fragment,
    },
    /// No more comes until further notice.
    Lost(Why),
}

/// The frames of one camera that are not a fragment yet.
#[derive(Debug)]
pub(super) struct Gather {
    entry: Option<Arc<SampleEntry>>,
    begins: Option<Why>,
    /// UTC less monotonic, µs: one for a run, but for small corrections at key frames.
    offset_us: i64,
    quality: ClockQuality,
    frames: Vec<Frame>,
    bytes: usize,
    key: bool,
    lossy: bool,
    /// The least delay: monotonic time less presentation time.
    anchor_us: i64,
    newest_us: i64,
    started: bool,
    listening: Listening,
}

impl Gather {
    pub(super) fn new(offset_us: i64, quality: ClockQuality) -> Self {
        Self {
            entry: None,
            begins: Some(Why::AgentDown),
            offset_us,
            quality,
            frames: Vec::new(),
            bytes: 0,
            key: false,
            lossy: false,
            anchor_us: i64::MAX,
            newest_us: i64::MIN,
            started: false,
            listening: Listening::default(),
        }
    }

    /// What the frames from here on need; none where the camera is lost, and why.
    pub(super) fn parameters(
        &mut self,
        entry: Option<SampleEntry>,
        lost: Option<Why>,
        out: &mut Vec<Gathered>,
    ) {
        self.close(None, out);
        self.started = false;
        match entry {
            None => {
                let why = lost.unwrap_or(Why::CameraLost("no pictures arrive".into()));
                self.listening = Listening::default();
                if self.entry.take().is_some() {
                    out.push(Gathered::Lost(why.clone()));
                }
                // What ended the recording stays the reason, whatever keeps it from going on.
                self.begins.get_or_insert(why);
            }
            Some(entry) if entry.names().is_none() => {
                let why =
                    Why::NotRecordable(format!("the camera sends {}; set it to H.264 or H.265", entry.codec));
                out.push(Gathered::Lost(why.clone()));
                self.entry = None;
                self.begins = Some(why);
            }
            Some(mut entry) => {
                if let Some(before) = &self.entry {
                    entry.sound.clone_from(&before.sound);
                    if **before != entry {
                        self.begins.get_or_insert(Why::ParametersChanged);
                    }
                }
                self.entry = Some(Arc::new(entry));
            }
        }
    }

    /// Frames were left out; the next is a key frame.
    pub(super) fn missed(&mut self, out: &mut Vec<Gathered>) {
        self.close(None, out);
        if self.started {
            self.begins.get_or_insert(Why::Behind);
        }
        self.started = false;
    }

    /// What was gathered could not be handed on: what follows it begins with a key frame.
    pub(super) fn refused(&mut self, begins: Option<Why>) {
        self.begins = Some(begins.unwrap_or(Why::Behind));
        if !self.key {
            self.frames.clear();
            self.bytes = 0;
            self.anchor_us = i64::MAX;
            self.newest_us = i64::MIN;
            self.started = false;
        }
    }

    /// The next piece of sound; it goes with the pictures that come with it.
    pub(super) fn sound(&mut self, heard: Sounded) {
        if self.started && self.listening.pieces.len() < MOST_SOUND {
            self.listening.pieces.push(heard);
        }
    }

    /// The next frame. `offset_us` and `quality` are the clock's now.
    pub(super) fn frame(
        &mut self,
        frame: Arrived,
        offset_us: i64,
        quality: ClockQuality,
        out: &mut Vec<Gathered>,
    ) {
        if self.entry.is_none() || !(self.started || frame.key) {
            return;
        }
        let long = || {
            let first = self.frames.first().map_or(frame.pts_us, |first| first.pts_us);
            // Only before a picture that is shown after all that came: what follows it is shown later too.
            frame.pts_us > self.newest_us
                && (frame.pts_us - first >= LONGEST_US || self.bytes + frame.data.len() > LARGEST)
        };
        if frame.key || (!self.frames.is_empty() && long()) {
            self.close(Some(frame.pts_us), out);
            self.key = frame.key;
        }
        if frame.key {
            if (offset_us - self.offset_us).abs() > STEP_US && self.started {
                self.begins.get_or_insert(Why::ClockStepped);
            }
            self.offset_us = offset_us;
            self.quality = quality;
            self.started = true;
        }
        self.lossy |= frame.lossy;
        self.anchor_us = self.anchor_us.min(frame.mono_us - frame.pts_us);
        self.newest_us = self.newest_us.max(frame.pts_us);
        self.bytes += frame.data.len();
        self.frames.push(Frame { pts_us: frame.pts_us, data: frame.data });
    }

    /// Nothing more comes: hands on what there is.
    pub(super) fn close(&mut self, next_pts_us: Option<i64>, out: &mut Vec<Gathered>) {
        let frames = std::mem::take(&mut self.frames);
        let anchor = std::mem::replace(&mut self.anchor_us, i64::MAX);
        let (lossy, key) = (std::mem::take(&mut self.lossy), std::mem::take(&mut self.key));
        self.bytes = 0;
        self.newest_us = i64::MIN;
        let (Some(first), Some(entry)) = (frames.iter().map(|frame| frame.pts_us).min(), &mut self.entry)
        else {
            return;
        };
        // A segment says at its beginning what its sound is: it changes with a key frame, as the picture does.
        if let Some(heard) = self.listening.pieces.last().filter(|_| key)
            && entry.sound.as_ref() != Some(&heard.of)
        {
            *entry = Arc::new(SampleEntry { sound: Some(heard.of.clone()), ..SampleEntry::clone(entry) });
        }
        let heard = self.listening.take(entry.sound.as_ref(), anchor);
        let mono_us = first.saturating_add(anchor);
        let fragment = Fragment {
            key,
            lossy,
            next_pts_us,
            wall_us: mono_us.saturating_add(self.offset_us),
            mono_us: u64::try_from(mono_us).unwrap_or(0),
            quality: self.quality,
            frames,
            heard,
        };
        out.push(Gathered::Fragment { entry: entry.clone(), begins: self.begins.take(), fragment });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: i64 = 1_795_000_000_000_000;

    fn entry(codec: &str) -> SampleEntry {
        SampleEntry {
            codec: codec.into(),
            width: 640,
            height: 360,
            record: Bytes::from_static(b"r"),
            sound: None,
        }
    }

    fn at(ms: i64, key: bool, late_ms: i64) -> Arrived {
        let data = Bytes::from(vec![0; 1000]);
        Arrived { pts_us: ms * 1000, mono_us: (10_000 + ms + late_ms) * 1000, key, lossy: false, data }
    }

    struct Stage {
        gather: Gather,
        out: Vec<Gathered>,
        offset: i64,
    }

    impl Stage {
        fn new() -> Self {
            let mut stage = Self {
                gather: Gather::new(OFFSET, ClockQuality::Synchronised),
                out: Vec::new(),
                offset: OFFSET,
            };
            stage.gather.parameters(Some(entry("avc1.4d401f")), None, &mut stage.out);
            stage
        }

        fn frames(&mut self, ms: impl IntoIterator<Item = i64>, key_every: i64) {
            for ms in ms {
                let frame = at(ms, ms % key_every == 0, (ms * 7919) % 60);
                self.gather.frame(frame, self.offset, ClockQuality::Synchronised, &mut self.out);
            }
        }

        fn fragments(&mut self) -> Vec<(Option<Why>, Fragment)> {
            let out = std::mem::take(&mut self.out).into_iter();
            out.filter_map(|gathered| match gathered {
                Gathered::Fragment { begins, fragment, .. } => Some((begins, fragment)),
                Gathered::Lost(_) => None,
            })
            .collect()
        }
    }

    #[test]
    fn a_group_is_a_fragment_timed_by_its_least_late_frame() {
        let mut stage = Stage::new();
        stage.frames((0..4000).step_by(40), 1000);
        let found = stage.fragments();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].0, Some(Why::AgentDown));
        for (n, (begins, fragment)) in found.iter().enumerate() {
            assert_eq!((fragment.frames.len(), fragment.key), (25, true));
            let true_us = OFFSET + (10_000 + n as i64 * 1000) * 1000;
            assert!((0..10_000).contains(&(fragment.wall_us - true_us)), "{}", fragment.wall_us - true_us);
            assert_eq!(begins.is_some(), n == 0);
        }
    }

    #[test]
    fn a_very_long_group_is_cut_in_parts() {
        let mut stage = Stage::new();
        stage.frames((0..20_000).step_by(40), 100_000);
        stage.gather.close(None, &mut stage.out);
        let found = stage.fragments();
        assert_eq!(found.iter().map(|(_, f)| f.frames.len()).sum::<usize>(), 500);
        assert_eq!(found.iter().map(|(_, f)| f.key).collect::<Vec<_>>(), [true, false, false, false, false]);
    }

    #[test]
    fn a_step_of_the_clock_waits_for_the_next_key_frame_and_costs_no_frame() {
        let mut stage = Stage::new();
        stage.frames((0..520).step_by(40), 1000);
        stage.offset -= 3_600_000_000;
        stage.frames((520..3000).step_by(40), 1000);
        let found = stage.fragments();
        assert_eq!(found[0].1.frames.len(), 25);
        assert_eq!(found[1].0, Some(Why::ClockStepped));
        assert!(found[1].1.wall_us < found[0].1.wall_us);
        assert!(found[1].1.mono_us > found[0].1.mono_us);
    }

    #[test]
    fn loss_refusal_and_change_each_begin_a_run_with_their_reason() {
        let mut stage = Stage::new();
        stage.frames((0..520).step_by(40), 1000);
        stage.gather.parameters(None, Some(Why::CameraLost("gone".into())), &mut stage.out);
        assert!(matches!(&stage.out[..], [Gathered::Fragment { .. }, Gathered::Lost(Why::CameraLost(_))]));
        stage.out.clear();
        stage.frames((2000..2500).step_by(40), 1000);
        assert!(stage.out.is_empty(), "frames without parameters");
        stage.gather.parameters(Some(entry("avc1.4d401f")), None, &mut stage.out);
        stage.frames((3000..4040).step_by(40), 1000);
        assert!(matches!(stage.fragments()[0].0, Some(Why::CameraLost(_))));
        stage.gather.refused(None);
        stage.frames((4040..6040).step_by(40), 1000);
        assert_eq!(stage.fragments()[0].0, Some(Why::Behind));
        stage.gather.parameters(Some(entry("avc1.64001f")), None, &mut stage.out);
        stage.frames((7000..9040).step_by(40), 1000);
        let found = stage.fragments();
        assert_eq!(found[1].0, Some(Why::ParametersChanged));
        stage.gather.parameters(Some(entry("jpeg")), None, &mut stage.out);
        assert!(matches!(stage.out.last(), Some(Gathered::Lost(Why::NotRecordable(_)))));
    }
}
