//! What is watched over HTTP: metrics, and whether the gateway lives and is ready.

mod files;
mod health;
mod metrics;
mod misuse;
mod token;

/// On a port that the kernel gives.
const HTTP: &str = "[operate]\nhttp = \"127.0.0.1:0\"\n";
