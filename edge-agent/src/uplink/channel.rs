//! The command channel.
