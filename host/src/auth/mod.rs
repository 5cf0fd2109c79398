//! Who a client is: user names with passwords, and the client identifiers that a user may have.
//!
//! | question | file |
//! |---|---|
//! | is this the password | [`hash`], its work in [`threads`], in turns by [`fair_queue`] |
//! | who is in the file, who stands in for who is not | [`users`] |
//! | how is the file read and changed | [`file`], [`edit`] |
//! | how often may somebody guess | [`limiter`] |
//! | what makes a thousand devices that come back cheap | [`proven`] |
//! | all of it together, asked at CONNECT | [`passwords`] |
//!
//! Which client identifiers a user may have is written in the configuration ([`crate::config::ClientIds`]); whose session is whose, in
//! `ingress/registry`.

pub mod edit;
mod fair_queue;
pub mod file;
mod hash;
mod limiter;
pub mod passwords;
mod proven;
mod threads;
pub mod users;

pub use hash::Hash;
pub use passwords::{Passwords, Refused};
pub use proven::random_salt;
pub use users::{User, Users};
