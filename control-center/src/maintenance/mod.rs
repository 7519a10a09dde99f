//! Maintenance: what is wrong with the machines and devices of one's halls, the most urgent first, and what to bring. Reads
//! what other rooms know now; owns no table and changes nothing.

mod routes;
mod trouble;

pub use routes::routes;
