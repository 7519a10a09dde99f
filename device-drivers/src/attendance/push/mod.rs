//! ZKTeco terminals that call in over HTTP: attendance PUSH, also called ADMS (docs/reference/devices.md A2).
//!
//! [`text`] is what stands in requests and answers, [`desk`] decides what a request means and what it is answered (no
//! network, no clock of its own), [`server`] is HTTP and the driver. The only thing a terminal is ever told to do is to set its
//! clock: [`text::Order`] has nothing else. Photos, fingerprints and faces that a terminal sends unasked are counted and
//! thrown away unread.

pub mod desk;
pub mod server;
pub mod text;

pub use desk::{ClockOrder, PushConfig, PushTerminal};
pub use server::{MemoryStamps, PushServer, Stamps};
