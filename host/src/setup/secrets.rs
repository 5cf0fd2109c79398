//! Files that nobody but the gateway should be able to read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, Listener, Upstream};

/// Reading, writing or running by the group or by anybody.
const OTHERS: u32 = 0o077;

/// The passwords and private keys of a configuration that others on this machine may read, each as a sentence.
pub fn exposed(config: &Config) -> Vec<String> {
    let of_listeners = config.broker.listeners.iter().flat_map(of_listener);
    let passwords = config.access.passwords.as_deref().and_then(of_passwords);
    let token = config.operate.http.as_ref().and_then(|http| of_token(http.token_file.as_deref()?));
    of_listeners.chain(passwords).chain(token).chain(config.upstreams.iter().flat_map(of_upstream)).collect()
}

fn of_listener(listener: &Listener) -> Vec<String> {
    let Some(tls) = &listener.tls else { return Vec::new() };
    let files = [("key", Some(&tls.key)), ("key_passphrase_file", tls.key_passphrase_file.as_ref())];
    let exposed = files.into_iter().filter_map(|(what, path)| Some((what, path.filter(|path| is_exposed(path))?)));
    let sentence = |(what, path): (&str, &PathBuf)| {
        let (name, path) = (&listener.name, path.display());
        format!(
            "listener `{name}`: the {what} `{path}` can be read by others on this machine, who can then pretend to be this gateway: `chmod 600 {path}`, as the gateway's user"
        )
    };
    exposed.map(sentence).collect()
}

fn of_passwords(path: &Path) -> Option<String> {
    let path = is_exposed(path).then(|| path.display())?;
    Some(format!(
        "access: the password file `{path}` can be read by others on this machine, who can then guess from its hashes: `chmod 600 {path}`, as the gateway's user"
    ))
}

fn of_token(path: &Path) -> Option<String> {
    let path = is_exposed(path).then(|| path.display())?;
    Some(format!(
        "operate: the token `{path}` can be read by others on this machine, who can then look at this gateway: `chmod 600 {path}`, as the gateway's user"
    ))
}

fn of_upstream(upstream: &Upstream) -> Vec<String> {
    let key = upstream.tls.as_ref().and_then(|tls| tls.key.as_deref());
    let passphrase = upstream.tls.as_ref().and_then(|tls| tls.key_passphrase_file.as_deref());
    let password = upstream.password_file.as_deref();
    let files = [("password_file", password), ("key", key), ("key_passphrase_file", passphrase)];
    let exposed = files.into_iter().filter_map(|(what, path)| Some((what, path.filter(|path| is_exposed(path))?)));
    let sentence = |(what, path): (&str, &Path)| {
        let (name, path) = (&upstream.name, path.display());
        format!(
            "upstream `{name}`: the {what} `{path}` can be read by others on this machine: `chmod 600` it, as the gateway's user"
        )
    };
    exposed.map(sentence).collect()
}

fn is_exposed(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & OTHERS != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;

    #[test]
    fn a_secret_that_others_may_read_is_named_and_one_of_the_gateways_user_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cloud.password");
        fs::write(&path, "secret").unwrap();
        let text = "[upstreams.cloud]\nurl = \"mqtt://h\"\nusername = \"u\"\npassword_file = \"cloud.password\"";
        let config = config::parse(text, "f", dir.path()).unwrap();
        for (mode, named) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let exposed = exposed(&config);
            assert_eq!(exposed.len(), named, "{mode:o}: {exposed:?}");
            assert!(exposed.iter().all(|text| text.contains("cloud.password") && text.contains("chmod 600")));
        }
    }
}
