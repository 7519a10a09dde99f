//! The scripted day of a hall: who comes, who is called, what is pressed. Pure: from a seed and a plan to a row of
//! steps, each with its offset from the day's start and with what a correct system must make of it.
//!
//! A press of "call next" has no ticket number on the wire: the system under test decides which ticket is called, by
//! the hall's rule (the longest-waiting ticket of the window's businesses). The script keeps a queue of its own by
//! the same rule, so each step says what is to be expected. Two things keep the expectation independent of how fast
//! the steps follow each other:
//!
//! * the evaluator is pressed either soon after the invitation, or while no rating can be open (during a service, or
//!   after the rating was given), never "some time later";
//! * a case that is transferred is called at its new window by its number, with no other call in between.
//!
//! Never touches a device, a file or a clock.

mod dice;
mod history;
mod plan;
mod script;
mod step;

pub use history::{HistoryError, write_history};
pub use plan::{Business, Clerk, Plan, Window};
pub use script::Day;
pub use step::{Action, Expectation, PressedKey, RAW_OF_GRADE, Step};
