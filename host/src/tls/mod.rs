//! TLS as both sides need it: what is read from files.

pub mod files;
