//! The demo: a region on one machine.
fn main() {}
