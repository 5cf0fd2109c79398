//! The private key of a file, in one of the forms that tools write.

use std::path::Path;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::encrypted_key::{self, NEW_ENCRYPTION};
use super::files::{FileError, Found, nothing, read};
use super::pem::{self, Fault, Section};

/// The first one: certificates, parameters of a curve and text may stand before it.
pub fn private_key(path: &Path, passphrase: Option<&[u8]>) -> Result<Found<PrivateKeyDer<'static>>, FileError> {
    let bytes = read(path)?;
    let sections = pem::sections(&bytes);
    let Some(section) = sections.iter().find(|section| section.label.ends_with("PRIVATE KEY")) else {
        return Err(FileError::new(path, nothing(&bytes, "PRIVATE KEY")));
    };
    let value = key(section, passphrase).map_err(|why| FileError::new(path, why))?;
    let is_open = passphrase.is_some() && section.label != ENCRYPTED;
    let doubt = is_open.then(|| format!("`{}` is not encrypted: `key_passphrase_file` has no effect", path.display()));
    Ok(Found { value, doubts: doubt.into_iter().collect() })
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

fn key(section: &Section, passphrase: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, String> {
    let content = section.content.as_ref().map_err(|fault| match fault {
        Fault::OldEncryption => format!("is encrypted in the old way of OpenSSL (`Proc-Type: 4,ENCRYPTED`), which is as good as none; {NEW_ENCRYPTION}"),
        fault => format!("holds a key that cannot be read: {fault}"),
    })?;
    match section.label.as_str() {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(content.clone()).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(content.clone()).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(content.clone()).into()),
        ENCRYPTED => encrypted_key::decrypt(content, passphrase).map(Into::into).map_err(|error| error.to_string()),
        "OPENSSH PRIVATE KEY" => {
            Err("is a key of OpenSSH: write a copy of it anew: `ssh-keygen -p -m PKCS8 -f COPY`".into())
        }
        other => Err(format!("holds a `{other}`, of which TLS makes no use here: make one of ECDSA with P-256")),
    }
}
