//! What is watched over HTTP: `/metrics`, `/healthz`, `/readyz` (`[operate] http`).
//!
//! ```text
//!  server ── one request a connection, few of them, a deadline for each ──▶ routes ──▶ state ──▶ Observer ──▶ text
//!                                                                             │
//!                                                                           token
//! ```
//!
//! It listens from the first moment of a start, so that a gateway that recovers a large spool is seen to be alive and not ready; and answers
//! from numbers that are there anyway: nothing is counted for it.

mod routes;
mod server;
mod state;
mod text;
mod token;

pub use server::Server;
pub use state::{Stage, State};
pub use token::{Token, TokenError};
