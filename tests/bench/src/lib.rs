//! Benchmarks that print: what they measured, on which machine, by which command line, beside what others need for the
//! same load in the same run. They judge nothing and assert nothing; targets are printed for the reader.

pub mod cameras;
pub mod floor;
pub mod footprint;
pub mod forecast;
pub mod intake;
pub mod ledger;
pub mod machine;
pub mod percentiles;
pub mod record;
pub mod relay;
pub mod split;
pub mod year;
