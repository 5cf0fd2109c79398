//! TLS as both sides need it: what is read from files.

pub mod der;
mod ec_key;
mod encrypted_key;
pub mod files;
pub mod pem;
mod private_key;
