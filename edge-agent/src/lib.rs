//! The agent in a service hall: devices, cases, journal, cameras and the way up.
