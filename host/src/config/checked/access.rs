//! `[access]`: who may do what.

use std::path::PathBuf;
use std::sync::Arc;

use crate::access::{DeniedPublish, Rules};

#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The users and their hashed passwords. Always there where a listener asks for passwords.
    pub passwords: Option<PathBuf>,
    /// With the ACL file as it was when the configuration was read.
    pub rules: Arc<Rules>,
    pub acl_file: Option<AclSource>,
    pub denied_publish: DeniedPublish,
}

/// An ACL file, to be read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclSource {
    pub path: PathBuf,
    /// As people are told of it.
    pub name: Arc<str>,
}
