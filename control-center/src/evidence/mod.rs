//! Evidence: one file for a case that stands by itself. The package (its [container], [manifest], [key], what
//! [verifies](verify) it and [says](say) so) knows no network and no database, so that it can be verified anywhere and for
//! as long as there are files.
//!
//! Around it the room: what a case has is gathered, the hall hands over its originals, and the export is written down.
//!
//! It never changes a byte of what was recorded, and never claims more than is proven: that the footage is unchanged since the
//! agent recorded it, not that the camera saw reality (docs/design/evidence.md).

pub mod container;
mod export;
pub mod footage;
mod gather;
pub mod key;
pub mod manifest;
pub mod pack;
mod routes;
pub mod say;
pub mod verify;

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;

pub use export::Evidence;
pub use routes::{PATIENCE, routes};
