//! `[access]`: who may connect.

use std::path::PathBuf;

#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The users and their hashed passwords. Always there where a listener asks for passwords.
    pub passwords: Option<PathBuf>,
}
