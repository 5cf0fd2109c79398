//! Files that say who is let in and who may do what. Others may read them; whoever can write them has whatever he wants.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::{Config, Listener, Upstream};

/// Not the group as well: on many systems each user has one of its own, and it may write what he makes.
const BY_ANYBODY: u32 = 0o002;

/// Those that anybody on this machine can write, each as a sentence. Password files and keys are secrets besides ([`super::secrets`]).
pub fn by_anybody(config: &Config) -> Vec<String> {
    let acl_file = config.access.acl_file.as_ref().map(|source| source.path.as_path());
    let rules = named("access", "acl_file", acl_file, "decides who may do what");
    let listeners = config.broker.listeners.iter().flat_map(of_listener);
    rules.into_iter().chain(listeners).chain(config.upstreams.iter().flat_map(of_upstream)).collect()
}

fn of_listener(listener: &Listener) -> impl Iterator<Item = String> + use<> {
    let whose = format!("listener `{}`", listener.name);
    let tls = listener.tls.as_ref();
    let client_ca = tls.and_then(|tls| tls.client_ca.as_deref());
    let crl = tls.and_then(|tls| tls.crl.as_deref());
    let client_ca = named(&whose, "client_ca", client_ca, "decides whose certificates are good");
    client_ca.into_iter().chain(named(&whose, "crl", crl, "decides whose certificates are revoked"))
}

fn of_upstream(upstream: &Upstream) -> impl Iterator<Item = String> + use<> {
    let whose = format!("upstream `{}`", upstream.name);
    let tls = upstream.tls.as_ref();
    let (ca, crl) = (tls.and_then(|tls| tls.ca.as_deref()), tls.and_then(|tls| tls.crl.as_deref()));
    let ca = named(&whose, "ca", ca, "decides who may pretend to be this upstream");
    ca.into_iter().chain(named(&whose, "crl", crl, "decides whose certificates are revoked"))
}

fn named(whose: &str, what: &str, path: Option<&Path>, then: &str) -> Option<String> {
    let is_writable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & BY_ANYBODY != 0)
    };
    let path = path.filter(|path| is_writable(path))?.display();
    Some(format!(
        "{whose}: the {what} `{path}` can be written by anybody on this machine, who then {then}: `chmod o-w {path}`, as its owner"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config;

    #[test]
    fn what_anybody_can_write_is_named_with_what_to_type() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in
            [("acl", "topic read a\n"), ("ca.pem", ""), ("crl.pem", ""), ("cert.pem", ""), ("key.pem", "")]
        {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let text = "[broker.listeners.plant]\nbind = \"127.0.0.1:0\"\nauth = \"certificate\"\n\
            tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"ca.pem\", crl = \"crl.pem\" }\n[access]\nacl_file = \"acl\"\n\
            [upstreams.cloud]\nurl = \"mqtts://h\"\nca = \"cert.pem\"\n";
        let config = config::parse(text, "f", dir.path()).unwrap();
        for (name, words) in [
            ("acl", "access: the acl_file"),
            ("ca.pem", "listener `plant`: the client_ca"),
            ("crl.pem", "the crl"),
            ("cert.pem", "upstream `cloud`: the ca"),
        ] {
            let path = dir.path().join(name);
            for (mode, is_named) in [(0o644, false), (0o664, false), (0o646, true), (0o602, true)] {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                let named = by_anybody(&config);
                assert_eq!(named.len(), usize::from(is_named), "{mode:o}: {named:?}");
                assert!(named.iter().all(|text| text.contains(words) && text.contains("chmod o-w")), "{named:?}");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
}
