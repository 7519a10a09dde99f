//! The people's site: routes put together, HTTPS, headers, embedded pages, health. Decides nothing that a room decides.

pub mod assembly;
pub mod extract;
mod health;
pub mod list;
mod pages;
pub mod problem;
pub mod serve;

#[cfg(test)]
mod tests;
