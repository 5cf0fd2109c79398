//! TLS for tests: an authority that signs what a test asks for, and connections that show it.

mod authority;
mod client;

pub use authority::{Authority, Issued, Leaf, San, replace};
pub use client::{Client, TlsStream, connect};
pub use rcgen::ExtendedKeyUsagePurpose as Purpose;
