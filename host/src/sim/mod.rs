//! The whole gateway in one thread and in virtual time, with devices, upstreams, a disk and a clock that fail by a seed.
//!
//! ```text
//!  seed ─▶ plan ─▶ world: devices ─▶ gate ─▶ process (all rooms of the gateway) ─▶ roads ─▶ brokers
//!                    │                          │ simulated disk, clock               │
//!                    └── troubles, then none ───┘                     oracle ◀────────┘
//! ```
//!
//! **Promises that are judged:** what was acknowledged arrives, is in the dead letters, or somebody decided otherwise; QoS 2 once; order of
//! each device and topic; what is retained is the last that was acknowledged; wills come when they are due, and not when their device came
//! back in time; **when the faults end, everything is where it belongs within a bounded time**; the accounting balances.
//!
//! **The same seed is the same story.** Tasks of one thread run in one order, time stands still while they do, and whatever is chance
//! comes from the seed. A seed that fails is made smaller as long as it fails, and told.
//!
//! `cargo test -p tidegate --lib sim::` runs some seeds; decision 0022 and `docs/reliability.md` say how to run many.

mod broker;
mod coverage;
mod device;
mod dice;
mod fates;
mod frames;
mod gate;
mod keeper;
mod mortal;
mod oracle;
mod plan;
mod plugin;
mod process;
mod report;
mod rude;
mod runner;
mod shelf;
mod shrink;
mod story;
mod subscriber;
mod tests;
mod watcher;
mod world;
