//! Benchmarks that print.
