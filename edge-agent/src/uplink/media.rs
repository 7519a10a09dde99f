//! Live media connections.
