//! A camera's sound beside its picture, as it comes: AAC and G.711, never transcoded, never decoded.
//!
//! Owns which codecs are taken and a frame's times. Whether sound may be taken at all is not decided here, and a camera's
//! picture never waits for its sound: what cannot be set up is left out.

use std::sync::Arc;

use bytes::Bytes;
use retina::{
    client::{Described, Session, SetupOptions},
    codec::{AudioFrame, FrameFormat, ParametersRef},
};

use crate::clock::{Mono, MonotonicClock};

/// How sound is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// AAC, raw frames (RFC 3640).
    Aac,
    /// G.711 A-law.
    Alaw,
    /// G.711 µ-law.
    Ulaw,
}

impl SoundCodec {
    fn of(encoding: &str) -> Option<Self> {
        match encoding {
            "mpeg4-generic" => Some(Self::Aac),
            "pcma" => Some(Self::Alaw),
            "pcmu" => Some(Self::Ulaw),
            _ => None,
        }
    }
}

/// What a decoder of the sound needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundParameters {
    /// The codec.
    pub codec: SoundCodec,
    /// Samples in a second.
    pub rate: u32,
    /// Channels.
    pub channels: u16,
    /// The `AudioSpecificConfig`; nothing for G.711.
    pub config: Bytes,
}

/// One coded piece of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFrame {
    /// How it is coded.
    pub parameters: Arc<SoundParameters>,
    /// When it begins, microseconds, from an origin of the camera's own.
    pub raw_us: i64,
    /// How long it is, microseconds.
    pub length_us: i64,
    /// When its first packet arrived.
    pub arrived: Mono,
    /// The coded bytes.
    pub data: Bytes,
}

/// The stream of `session` that is sound which we take, set up; none where there is none or the camera does not give it.
pub(super) async fn set_up(
    session: &mut Session<Described>,
    transport: retina::client::Transport,
) -> Option<(usize, SoundCodec)> {
    let found = session.streams().iter().enumerate().find_map(|(at, stream)| {
        let codec = SoundCodec::of(stream.encoding_name()).filter(|_| stream.media() == "audio")?;
        // What nothing is known of before it plays cannot be written down.
        matches!(stream.parameters(), Some(ParametersRef::Audio(_))).then_some((at, codec))
    });
    let (at, codec) = found?;
    let setup = SetupOptions::default().transport(transport).frame_format(FrameFormat::MP4);
    match session.setup(at, setup).await {
        Ok(()) => Some((at, codec)),
        Err(error) => {
            tracing::warn!("the camera's sound is left out: {}", super::rtsp::first_line(&error));
            None
        }
    }
}

/// What is known of the sound; none where it is more than we write down.
pub(super) fn parameters(codec: SoundCodec, told: Option<ParametersRef<'_>>) -> Option<Arc<SoundParameters>> {
    let Some(ParametersRef::Audio(audio)) = told else { return None };
    let config =
        if codec == SoundCodec::Aac { Bytes::copy_from_slice(audio.extra_data()) } else { Bytes::new() };
    Some(Arc::new(SoundParameters {
        codec,
        rate: audio.clock_rate(),
        channels: audio.channels().get(),
        config,
    }))
}

/// A frame with its times.
pub(super) fn frame(
    parameters: &Arc<SoundParameters>,
    frame: &AudioFrame,
    clock: &dyn MonotonicClock,
) -> SoundFrame {
    let ago = u64::try_from(frame.ctx().received().elapsed().as_micros()).unwrap_or(0);
    let rate = i128::from(frame.timestamp().clock_rate().get());
    let us = |ticks: i128| i64::try_from(ticks * 1_000_000 / rate).unwrap_or(i64::MAX);
    SoundFrame {
        parameters: Arc::clone(parameters),
        raw_us: us(i128::from(frame.timestamp().elapsed())),
        length_us: us(i128::from(frame.frame_length().get())),
        arrived: Mono(clock.now().0.saturating_sub(ago)),
        data: Bytes::copy_from_slice(frame.data()),
    }
}
