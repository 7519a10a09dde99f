//! Pictures for the simulated cameras: drawn here, encoded once on this machine, then looped for ever.
//!
//! Owns the scene that each window shows, the machine-readable mark in it, the encoder, and the cache of encoded
//! clips on disk. Never sends anything and never knows about time of day: a clip is a list of coded pictures.

mod cache;
mod canvas;
mod clip;
mod encode;
mod mark;
mod scene;

pub use cache::Cache;
pub use canvas::{Canvas, Colour};
pub use clip::{Clip, ClipError, Codec, Sample, TICKS_PER_SECOND, split_avcc};
pub use encode::{EncodeError, Recipe, decode_frames, encode};
pub use mark::{
    MARK_COLUMNS, MARK_LEFT, MARK_ROW_HEIGHT, MARK_ROWS, MARK_SYNC, MARK_TOP, MARK_WIDTH, mark_check,
    read_mark,
};
pub use scene::{DRAWING_VERSION, Scene};
