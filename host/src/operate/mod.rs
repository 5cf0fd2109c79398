//! What steers a gateway that runs: the admin socket.

pub mod admin;
