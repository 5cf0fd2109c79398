//! `tls = { ... }` of a listener: files that are there, and keys that go together.

use std::ops::Range;

use super::spool;
use crate::config::checked::{Auth, Identity, ListenerTls};
use crate::config::problem::Problem;
use crate::config::raw::Table;

const IDENTITY: [(&str, Identity); 2] = [("cn", Identity::CommonName), ("san", Identity::SubjectAltName)];

/// The smallest that a device may ask for (RFC 6066, section 4) and the largest that TLS has, each with the header of a record, which is
/// how rustls counts.
const SMALLEST_FRAGMENT: usize = 512 + 5;
const LARGEST_FRAGMENT: usize = 16_384 + 5;

/// `None` without TLS, and where its certificate or key is missing.
pub fn check(listener: &Table<'_>, auth: Auth) -> Option<ListenerTls> {
    let Some((_, span)) = listener.value("tls") else {
        guard_the_identity(listener, auth, None);
        return None;
    };
    let table = listener.table("tls");
    table.free_form()?;
    let (cert, key) = (file(&table, "cert"), file(&table, "key"));
    for (name, what) in [("cert", "certificate"), ("key", "private key of the certificate")] {
        if table.value(name).is_none() {
            table.missing(name, &format!("name the file with the {what}: `{name} = \"gateway.{}\"`", ending(name)));
        }
    }
    let key_passphrase_file =
        table.file("key_passphrase_file", "the first line of that file is the passphrase of `key`");
    let (client_ca, crl) = (file(&table, "client_ca"), file(&table, "crl"));
    let identity = spool::one_of(&table, "identity", &IDENTITY).unwrap_or_default();
    let max_fragment_size = table.number("max_fragment_size", SMALLEST_FRAGMENT..=LARGEST_FRAGMENT);
    guard_the_identity(listener, auth, Some((&table, span)));
    without_client_ca(&table);
    table.finish();
    let (cert, key) = (cert?, key?);
    Some(ListenerTls { cert, key, key_passphrase_file, client_ca, crl, identity, max_fragment_size })
}

fn file(table: &Table<'_>, key: &'static str) -> Option<std::path::PathBuf> {
    table.file(key, "it is a file in PEM form")
}

fn ending(key: &str) -> &str {
    if key == "cert" { "pem" } else { "key" }
}

/// Who proves what he is by a certificate has to be asked for one; who is asked for one should be known by it.
fn guard_the_identity(listener: &Table<'_>, auth: Auth, tls: Option<(&Table<'_>, Range<usize>)>) {
    let client_ca = tls.as_ref().and_then(|(table, _)| table.value("client_ca"));
    match (auth, client_ca) {
        (Auth::Certificate, None) => {
            let place = listener.value("auth").map_or(listener.span(), |(_, span)| span);
            let sentence = "`auth = \"certificate\"` has no `client_ca` to check certificates of devices with";
            let advice = match tls {
                Some(_) => "add the file of the CA that signs them to `tls`: `client_ca = \"devices.pem\"`",
                None => {
                    "add `tls = { cert = \"gateway.pem\", key = \"gateway.key\", client_ca = \"devices.pem\" }`, where `client_ca` is the CA that signs them"
                }
            };
            listener.add(Problem::error(place, sentence).advice(advice));
        }
        (Auth::None, Some((_, span))) => {
            let sentence = "devices have to show a certificate here, and none of them gets the name in it";
            let advice = "add `auth = \"certificate\"` to this listener, so that rules and logs know who it is";
            listener.add(Problem::warning(span, sentence).advice(advice));
        }
        _ => {}
    }
}

/// What is about certificates of devices, where none is asked for.
fn without_client_ca(table: &Table<'_>) {
    if table.value("client_ca").is_some() {
        return;
    }
    for key in ["crl", "identity"] {
        if let Some((_, span)) = table.value(key) {
            let sentence = format!("`{key}` has no effect without `client_ca`: no device is asked for a certificate");
            let advice = format!("add `client_ca` and `auth = \"certificate\"`, or remove `{key}`");
            table.add(Problem::error(span, sentence).advice(advice));
        }
    }
}
