//! The queue and the windows as they are now: tickets from printer to end, each window's state, who serves, who waits.
//! From them the hall manager's page: is the queue in hand ([`now`]), how was the day ([`quarters`], from the roll-ups of
//! `statistics`), what will the next hour be ([`forecast`], pure, and [`outlook`]), from when on to call for somebody
//! ([`thresholds`]). Owns the tables `tickets`, `window_states`, `queue_thresholds` and `forecast_scores`; follows the edge,
//! which keeps the queue itself, and decides nothing.

pub mod forecast;
mod halls_now;
mod now;
mod outlook;
mod projection;
mod quarters;
mod routes;
mod rows;
mod scored;
mod thresholds;

pub use halls_now::{HallNow, Pausing, halls_now, pausing};
pub use outlook::Outlooks;
pub use projection::project;
pub use routes::routes;
pub use rows::{
    Clerk, LastRating, TicketRow, WindowRow, WindowState, clerk_at, hall_window_rows, refresh, window_rows,
};
pub use scored::keep_scores;
pub use thresholds::{Thresholds, thresholds_set};

#[cfg(test)]
mod room_tests;
