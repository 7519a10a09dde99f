//! Cameras: pulled over RTSP, given as access units.
//!
//! Owns one pull from its opening to its typed end ([`rtsp`]), the timeline that hides a camera's timestamp jumps
//! ([`timeline`]), what can be read out of parameter sets ([`parameter_sets`]), when to try again ([`retry`]), finding and
//! describing cameras ([`onvif`], and those without it [`rtsp_search`]), and judging a stream ([`audit`]). It keeps no frame, knows no viewer, and never decodes
//! a picture.

pub mod audit;
pub mod onvif;
pub mod parameter_sets;
pub mod retry;
pub mod rtsp;
pub mod rtsp_search;
pub mod sound;
pub mod timeline;

pub use retry::{Failure, Retry};
pub use rtsp::{
    AccessUnit, CameraItem, CameraSource, PullEnd, PullTimeouts, Transport, VideoParameters, pull,
};
pub use sound::{SoundCodec, SoundFrame, SoundParameters};
