//! What the system tests share: starting a small region, independent cameras, films of what the wall shows, and
//! comparing what a centre says with what a simulated hall's own log says was pressed, printed and punched.

pub mod compare;
pub mod film;
pub mod peer;
pub mod stage;
