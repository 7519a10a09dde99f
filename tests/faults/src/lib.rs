//! What the faults suite and the benchmarks share: nodes without a machine behind them. The suite itself is the program.

pub mod nodes;
