//! TLS of a connection to another broker.

use super::Around;
use crate::cli::import::draft::{Hold, Table, list, quoted};
use crate::cli::import::section::Section;

/// Where distributions have the certificates that are trusted without `ca`, too.
const SYSTEM: [&str; 3] = ["/etc/ssl/certs", "/etc/ssl/certs/", "/etc/pki/tls/certs"];

/// One byte says the length (RFC 7301, section 3.1).
const LONGEST_PROTOCOL: usize = 255;

/// Whether mosquitto encrypts this connection: without a CA it does not, whatever else is said.
pub fn is_on(settings: &Section<'_>) -> bool {
    let said = |keyword: &str| settings.all(keyword).next().is_some();
    said("bridge_cafile")
        || said("bridge_capath")
        || said("bridge_psk")
        || settings.is_on("bridge_tls_use_os_certs").is_some()
}

pub fn add<'a>(around: &Around<'a, '_>, settings: &Section<'a>, table: &mut Table<'a>) {
    let alpn = settings.text(&["bridge_alpn"]);
    let identity = settings.last(&["bridge_identity", "bridge_psk"]);
    if !is_on(settings) {
        let why = "mosquitto does not encrypt this connection: it has no `bridge_cafile` or `bridge_capath`";
        let keywords = ["bridge_alpn", "bridge_certfile", "bridge_keyfile", "bridge_identity", "bridge_insecure"];
        for line in keywords.into_iter().flat_map(|keyword| settings.all(keyword)) {
            line.leave(why, "write `mqtts://` in `url` if the other broker speaks TLS, and add what is missing");
        }
        return;
    }
    if identity.is_some() {
        let todo = "let the other broker ask for a certificate or a password";
        table.hold(Hold::new("TLS with pre-shared keys is not offered", todo));
    }
    authority(around, settings, table);
    let (cert, key) = (settings.text(&["bridge_certfile"]), settings.text(&["bridge_keyfile"]));
    match (cert, key) {
        (Some(cert), Some(key)) => {
            table.add("cert", quoted(&around.paths.of(cert.value)), Some(cert.line));
            table.add("key", quoted(&around.paths.of(key.value)), Some(key.line));
        }
        (None, None) => {}
        (one, other) => {
            one.iter()
                .chain(&other)
                .for_each(|said| said.line.leave("a client certificate needs its key", "name both"));
        }
    }
    if let Some(line) = settings.is_on("bridge_insecure") {
        let why = "the name in the certificate of the other broker is always verified";
        line.leave(why, "write the name that the certificate has in `server_name`, or its digest in `pin_sha256`");
    }
    if let Some(alpn) = alpn {
        if alpn.value.len() > LONGEST_PROTOCOL {
            alpn.line.leave("a protocol of ALPN has 255 bytes at most", "correct it, and import again");
            return;
        }
        table.add("alpn", list([alpn.value]), Some(alpn.line));
    }
}

fn authority<'a>(around: &Around<'a, '_>, settings: &Section<'a>, table: &mut Table<'a>) {
    let folder = settings.text(&["bridge_capath"]);
    if let Some(file) = settings.text(&["bridge_cafile"]) {
        table.add("ca", quoted(&around.paths.of(file.value)), Some(file.line));
        let todo = "append its certificates to the file of `ca` where they are needed";
        folder.iter().for_each(|said| said.line.leave("one file has all CAs here", todo));
        return;
    }
    // The system's certificates are trusted without a setting.
    if let Some(said) = folder.filter(|said| !SYSTEM.contains(&said.value)) {
        table.add("ca", quoted("upstream-ca.pem"), Some(said.line));
        let todo = format!("`cat {}/*.pem > upstream-ca.pem`", said.value);
        table.hold(Hold::new("one file has all CAs here, not a folder", todo));
    }
}
