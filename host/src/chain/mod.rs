//! The chain: messages folded through plugins, on threads of their own.
//!
//! ```text
//!   Job ─▶ Lane (one binding's mailbox) ─▶ Workers (threads) ─▶ Chain::run ─▶ Job::done(Outcome)
//!                                                                │
//!                                                  PluginStage ─▶ PluginStage ─▶ …
//! ```
//!
//! - [`Chain`] is pure: messages in, one [`Outcome`] for each, in order. It is the same in the gateway, in `tidegate test`,
//!   and in its own tests.
//! - A [`Lane`] keeps order: its jobs go through its chain one after the other, and those of one client are done in the order they came.
//!   What waits there waits for each client by itself (`turns`).
//! - [`Workers`] keep lanes apart: a slow plugin delays the bindings that use it. A thread is held for a few milliseconds
//!   and one call; slow lanes have a few threads of their own (`slow_lane`); a plugin that only fails is not asked for a while (`breaker`).
//! - A message that a plugin cannot handle *now* is tried again, without a thread waiting for it (`flow`).
//!
//! Not here: what an outcome leads to (`on_error`, destinations), which is the dispatcher's. This room knows no sockets.

mod backoff;
mod batches;
mod batching;
mod breaker;
mod deletes;
#[cfg(test)]
pub(crate) mod fixtures;
mod flow;
mod guard;
mod instances;
mod job;
mod lane;
mod late;
mod outcome;
mod plugin_stage;
mod redacts;
mod restart;
mod rounds;
mod run_queue;
mod slow_lane;
mod stage;
mod stages;
mod starter;
mod stateful_stage;
#[cfg(test)]
pub(crate) mod stepped;
mod told;
mod traced;
mod turn_size;
mod turns;
mod workers;

pub use job::{Finisher, Job, Rank, Taken, Tick};
pub use lane::{LANE_CAPACITY, Lane};
pub use late::{Begin, NoChain, Refused, Standing, Stopped};
pub use outcome::{Done, Failure, Outcome, TickResult};
pub use plugin_stage::PluginStage;
pub use stage::{Guest, Stage};
pub use stages::{Chain, ChainError, Means};
pub use starter::{Starter, StarterThreads};
pub use told::Told;
pub use workers::{Workers, default_threads};
