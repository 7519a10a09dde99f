//! What the edges find in cameras' pictures: seats occupied, empty or unknown, and faults of the picture, as they are now;
//! and the stills of them, which the edges keep. Owns the tables `seats` and `picture_faults`; judges no picture.

mod projection;
mod routes;
mod rows;
mod spells;

#[cfg(test)]
mod tests;

pub use projection::project;
pub use routes::routes;
pub use rows::{FaultRow, SeatRow, Seen, StandingFault, of_windows, standing, unknown_while_away};
pub use spells::{SeatSpell, seat_spells};
