//! The queue and the windows as they are now: tickets from printer to end, each window's state, who serves, who waits.
//! Owns the tables `tickets` and `window_states`; follows the edge, which keeps the queue itself, and decides nothing.

mod projection;
mod routes;
mod rows;

pub use projection::project;
pub use routes::routes;
pub use rows::{
    Clerk, LastRating, TicketRow, WindowRow, WindowState, clerk_at, hall_window_rows, window_rows,
};
