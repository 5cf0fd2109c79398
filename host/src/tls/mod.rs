//! TLS as both sides need it: what is read from files, and what of a certificate is for people.
//!
//! rustls decides who is let in. What it does not tell, [`certificate`] reads: until when a certificate holds, and whose it is
//! ([`identity`]). [`server`] makes what a listener shows to devices, [`refusal`] says why one of them was not let in.

pub mod certificate;
mod chain_revocation;
pub mod der;
mod ec_key;
mod encrypted_key;
pub mod expiry;
pub mod files;
pub mod identity;
pub mod pem;
mod private_key;
pub mod refusal;
pub mod revocation;
pub mod server;
