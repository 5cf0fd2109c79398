//! What steers a gateway that runs, and what is seen of it: the admin socket, HTTP, the snapshot of all numbers.

pub mod admin;
mod disk;
mod health;
pub mod http;
mod measures;
mod observer;
mod parts;
mod process;
mod reload;
mod stopped;
pub mod sys_topics;
mod systemd;

pub use disk::DiskWatch;
pub use measures::Limits;
pub use observer::Observer;
pub use parts::{WatchedPlugin, WatchedUpstream};
pub use reload::{ReloadReport, ReloadRequest, Reloads};
pub use systemd::Supervisor;
