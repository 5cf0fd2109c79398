//! Where in the file that stands which a finding is about.
//!
//! Findings are sentences that begin with their subject: "listener `field`: …", "binding `t` has …". They are made where nobody knows of the file, also
//! for a gateway that runs; so the place is looked for here, by the subject. Who finds none draws no line, and loses nothing of what is said.

use super::{Finding, world};

/// Of a subject: the words of a sentence that speak of one of its keys, and the key. Without such a word, its first one.
type Keys = &'static [(&'static str, &'static str)];

const LISTENER: Keys = &[("", "tls"), ("cannot be listened on", "bind")];
const UPSTREAM: Keys = &[
    ("", "url"),
    ("password", "password_file"),
    ("passphrase", "key_passphrase_file"),
    ("`server_name`", "server_name"),
];
const PLUGIN: Keys = &[("", "component"), ("is not the pinned file", "sha256"), ("accept its configuration", "config")];
const BINDING: Keys = &[("", "plugins"), ("`tick`", "tick")];

/// The keys that lead there, from the root of the file; what of them is not in the file is left out.
pub fn of(finding: &Finding) -> Vec<String> {
    let path = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    match finding.about.as_str() {
        world::DATA_DIR | "disk" => return path(&["gateway", "data_dir"]),
        "descriptors" => return path(&["broker", "limits", "max_connections"]),
        "plugins" => return path(&["engine", "limits", "memory_total"]),
        _ => {}
    }
    let text = &finding.text;
    if text.contains("the password file") && !text.starts_with("upstream ") {
        return path(&["access", "passwords"]);
    }
    let Some((kind, name)) = subject(text).or_else(|| finding.about.split_once(' ')) else { return Vec::new() };
    // "binding `b`: plugin `p` does not accept its configuration"
    if let ("binding", Some((_, of_plugin))) = (kind, text.split_once("`: plugin `")) {
        let plugin = of_plugin.split('`').next().unwrap_or_default();
        return path(&["plugins", plugin, key(PLUGIN, text)]);
    }
    match kind {
        "listener" => path(&["broker", "listeners", name, key(LISTENER, text)]),
        "upstream" => path(&["upstreams", name, key(UPSTREAM, text)]),
        "plugin" => path(&["plugins", name, key(PLUGIN, text)]),
        "binding" => path(&["bindings", name, key(BINDING, text)]),
        _ => Vec::new(),
    }
}

/// Its kind and its name.
fn subject(text: &str) -> Option<(&str, &str)> {
    let (kind, rest) = text.split_once(" `")?;
    let is_word = kind.chars().all(|c| c.is_ascii_lowercase());
    is_word.then_some((kind, rest.split_once('`')?.0))
}

fn key(keys: Keys, text: &str) -> &'static str {
    let spoken_of = keys.iter().skip(1).find(|(word, _)| text.contains(word));
    spoken_of.or(keys.first()).map_or("", |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn each_kind_of_sentence_has_its_place() {
        for (about, text, place) in [
            ("listener l", "listener `l`: 127.0.0.1:1 cannot be listened on: x", "broker.listeners.l.bind"),
            ("setup", "listener `l`: `k.key` holds no PEM", "broker.listeners.l.tls"),
            ("secrets", "upstream `u`: the password_file `p` can be read", "upstreams.u.password_file"),
            ("upstream u", "mqtt://h:1 does not let us in: x", "upstreams.u.url"),
            ("setup", "plugin `p`: `x` is not the pinned file: its digest", "plugins.p.sha256"),
            ("setup", "binding `b`: plugin `p` does not accept its configuration: unknown field", "plugins.p.config"),
            ("setup", "binding `b` has a `tick`, and none of its plugins", "bindings.b.tick"),
            ("setup", "the password file `p` is not used: line 1", "access.passwords"),
            ("data_dir", "`d` is not a folder", "gateway.data_dir"),
            ("setup", "something else", ""),
        ] {
            let finding = Finding::new(about, Verdict::Bad, text);
            assert_eq!(of(&finding).join("."), place, "{text}");
        }
    }
}
