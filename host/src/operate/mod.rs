//! What steers a gateway that runs, and what is seen of it: the admin socket, the snapshot of all numbers.

pub mod admin;
mod observer;
mod parts;
mod reload;
mod stopped;
pub mod sys_topics;

pub use observer::Observer;
pub use parts::{WatchedPlugin, WatchedUpstream};
pub use reload::{ReloadReport, ReloadRequest, Reloads};
