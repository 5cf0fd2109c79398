//! The keys of `[upstreams.NAME]` that are about TLS.

use rustls::pki_types::ServerName;

use super::pin;
use crate::config::checked::{Address, Tls};
use crate::config::problem::Problem;
use crate::config::raw::Table;

const KEYS: [&str; 8] = ["ca", "cert", "key", "key_passphrase_file", "crl", "server_name", "alpn", "pin_sha256"];
/// What is of no use without another key.
const NEEDS: [(&str, &str, &str); 3] = [
    ("cert", "key", "a client certificate needs both"),
    ("key", "cert", "a client certificate needs both"),
    ("key_passphrase_file", "key", "it opens the key of a client certificate"),
];
/// A pin stands for all of what these would look at.
const BESIDE_PIN: [&str; 2] = ["ca", "crl"];
/// One byte says the length (RFC 7301, section 3.1).
const LONGEST_PROTOCOL: usize = u8::MAX as usize;

pub fn check(table: &Table<'_>, address: Option<&Address>) -> Option<Tls> {
    let pem = |key| table.file(key, "it is a file in PEM form");
    let tls = Tls {
        ca: pem("ca"),
        cert: pem("cert"),
        key: pem("key"),
        key_passphrase_file: table
            .file("key_passphrase_file", "the first line of that file is the passphrase of `key`"),
        crl: pem("crl"),
        server_name: server_name(table),
        alpn: alpn(table),
        pin_sha256: pin::check(table),
    };
    let given = |key: &'static str| table.value(key).map(|(_, span)| span);
    for (key, other, why) in NEEDS {
        if let (Some(span), None) = (given(key), given(other)) {
            let advice = format!("{why}: add `{other}`, or remove `{key}`");
            table.add(Problem::error(span, format!("`{key}` stands without `{other}`")).advice(advice));
        }
    }
    if let Some(pin) = given("pin_sha256") {
        for (key, span) in BESIDE_PIN.into_iter().filter_map(|key| Some((key, given(key)?))) {
            let problem = Problem::error(span, format!("`{key}` has no effect beside `pin_sha256`"));
            let advice = format!("a certificate is trusted by its pin alone: remove `{key}`, or `pin_sha256`");
            table.add(problem.also(pin.clone(), "this is what is asked for").advice(advice));
        }
    }
    if address?.tls {
        return Some(tls);
    }
    if let Some((key, span)) = KEYS.into_iter().find_map(|key| Some((key, given(key)?))) {
        let sentence = format!("`{key}` has no effect: `mqtt://` is not encrypted");
        table.add(Problem::error(span, sentence).advice("write `mqtts://` in `url`, or remove this key"));
    }
    None
}

fn server_name(table: &Table<'_>) -> Option<String> {
    let typed = table.text("server_name")?;
    let name = *typed.get_ref();
    if ServerName::try_from(name).is_err() {
        let problem = Problem::error(typed.span(), "`server_name` is neither a host name nor an IP address");
        table.add(problem.advice("write what the certificate has as subjectAltName, without scheme and port"));
    }
    Some(name.to_owned())
}

fn alpn(table: &Table<'_>) -> Vec<String> {
    let Some(typed) = table.texts("alpn") else { return Vec::new() };
    if let (true, Some((_, span))) = (typed.is_empty(), table.value("alpn")) {
        let problem = Problem::error(span, "`alpn` is an empty list");
        table.add(problem.advice("name a protocol, as `[\"x-amzn-mqtt-ca\"]`, or leave `alpn` out"));
    }
    for protocol in typed.iter().filter(|protocol| !(1..=LONGEST_PROTOCOL).contains(&protocol.get_ref().len())) {
        let problem = Problem::error(protocol.span(), "a protocol of `alpn` has from 1 to 255 bytes");
        table.add(problem.advice("write the name as the upstream's documentation has it"));
    }
    typed.into_iter().map(|protocol| (*protocol.get_ref()).to_owned()).collect()
}
