//! The edges of the process: a log that nobody reads, signals, and ends that something would hold up.

mod log;
mod signals;
mod stops;
