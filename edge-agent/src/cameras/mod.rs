//! Cameras: pulled, fanned out, watched.
