//! The people's site: routes put together, HTTPS, headers, embedded pages, health. Decides nothing that a room decides.

pub mod assembly;
mod beside;
pub(crate) mod doorway;
mod examples;
pub mod export;
pub mod extract;
mod health;
mod limits;
pub mod list;
mod pages;
pub mod problem;
pub mod serve;
mod service;
pub mod upgrade;

#[cfg(test)]
mod browser;
#[cfg(test)]
pub(crate) mod tests;
