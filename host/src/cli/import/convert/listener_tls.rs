//! `tls` of a listener.

use super::Around;
use crate::cli::import::draft::{Hold, Table, quoted};
use crate::cli::import::line::Line;
use crate::cli::import::outline::Listener;
use crate::cli::import::section::Section;

#[derive(Default)]
pub struct Found {
    pub is_on: bool,
    /// Devices have to show a certificate.
    pub asks_for_certificates: bool,
    /// And the name in it is who they are.
    pub is_identity: bool,
}

pub fn add<'a>(around: &Around<'a, '_>, listener: &Listener<'a>, table: &mut Table<'a>) -> Found {
    let settings = &listener.settings;
    if let Some(hold) = other_keys(settings) {
        table.hold(hold);
    }
    let (cert, key) = (settings.text(&["certfile"]), settings.text(&["keyfile"]));
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => {
            without(settings, "without `certfile` and `keyfile` there is no TLS, and this has no effect");
            return Found::default();
        }
        _ => {
            table.hold(Hold::new("TLS needs both `certfile` and `keyfile`", "name the other one, too"));
            return Found::default();
        }
    };
    let file = |path: &str| quoted(&around.paths.of(path));
    let mut parts = vec![("cert", file(cert.value)), ("key", file(key.value))];
    let mut from = vec![cert.line, key.line];
    let required = settings.is_on("require_certificate");
    let mut found = Found { is_on: true, asks_for_certificates: required.is_some(), is_identity: false };
    match required {
        Some(required) => {
            from.push(required);
            found.is_identity = client_certificates(settings, &mut parts, &mut from, table, &file);
        }
        None => not_asked_for(settings),
    }
    let parts: Vec<String> = parts.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    table.add("tls", format!("{{ {} }}", parts.join(", ")), from);
    found
}

/// Keys that are no file.
fn other_keys(settings: &Section<'_>) -> Option<Hold> {
    let engine = settings.text(&["tls_engine"]).is_some();
    let form = settings.word(&["tls_keyform"]).is_some_and(|said| said.value == "engine");
    settings
        .last(&["tls_engine_kpass_sha1"])
        .iter()
        .for_each(|line| line.leave("keys are in files here", "see `keyfile`"));
    if engine || form {
        return Some(Hold::new("keys are in files here, not in an engine", "name a key in a file in `tls`"));
    }
    settings.text(&["psk_hint"])?;
    let todo = "give the devices certificates, or the listener one and the devices passwords";
    Some(Hold::new("TLS with pre-shared keys is not offered", todo))
}

/// Whether the name in the certificate is the user name.
fn client_certificates<'a>(
    settings: &Section<'a>,
    parts: &mut Vec<(&'static str, String)>,
    from: &mut Vec<&'a Line>,
    table: &mut Table<'a>,
    file: &impl Fn(&str) -> String,
) -> bool {
    let folder = settings.last(&["capath"]);
    match (settings.text(&["cafile"]), folder) {
        (Some(ca), folder) => {
            parts.push(("client_ca", file(ca.value)));
            from.push(ca.line);
            let todo = "append its certificates to the file of `client_ca`, where they sign certificates of devices";
            folder.iter().for_each(|line| line.leave("one file has all CAs here", todo));
        }
        (None, Some(folder)) => {
            parts.push(("client_ca", file("devices-ca.pem")));
            let todo = format!("`cat {}/*.pem > devices-ca.pem`", folder.value);
            table.hold(Hold::new("one file has all CAs here, not a folder", todo));
        }
        (None, None) => {
            parts.push(("client_ca", file("devices-ca.pem")));
            table.hold(Hold::new(
                "`require_certificate` has no `cafile`",
                "name the CA that signs certificates of devices",
            ));
        }
    }
    if let Some(crl) = settings.text(&["crlfile"]) {
        parts.push(("crl", file(crl.value)));
        from.push(crl.line);
    }
    let (common_name, subject) =
        (settings.is_on("use_identity_as_username"), settings.is_on("use_subject_as_username"));
    if let Some(line) = common_name {
        parts.push(("identity", quoted("cn")));
        from.push(line);
    }
    if let Some(line) = subject {
        let todo = "write the CN for the subject in the ACL file";
        line.leave("the user name is the CN of the certificate, not all of its subject", todo);
    }
    common_name.is_some() || subject.is_some()
}

fn not_asked_for(settings: &Section<'_>) {
    let why = "devices are not asked for certificates here; if it has the intermediate certificate of `certfile`, append it there: \
               mosquitto sends it to devices, the gateway sends what is in `cert`";
    settings.last(&["cafile"]).iter().for_each(|line| line.needless(why));
    settings.last(&["capath"]).iter().for_each(|line| line.needless(why));
    for keyword in ["crlfile", "require_certificate", "use_identity_as_username", "use_subject_as_username"] {
        let why = "devices are not asked for certificates here";
        settings.last(&[keyword]).iter().for_each(|line| line.needless(why));
    }
}

fn without(settings: &Section<'_>, why: &str) {
    let keywords =
        ["cafile", "capath", "crlfile", "require_certificate", "use_identity_as_username", "use_subject_as_username"];
    for keyword in keywords {
        settings.last(&[keyword]).iter().for_each(|line| line.needless(why));
    }
}
