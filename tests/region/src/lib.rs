//! Starts a whole region on one machine: centre, edge agents and simulated halls; the demo and the system tests use it.
