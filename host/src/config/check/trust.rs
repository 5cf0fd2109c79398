//! `[trust]`: whose plugins may run.

use crate::config::PublicKey;
use crate::config::checked::{Trust, TrustedKey};
use crate::config::problem::Problem;
use crate::config::raw::Table;

pub fn check(table: &Table<'_>) -> Trust {
    let trust = Trust { keys: keys(table), require_signature: required(table) };
    table.finish();
    trust
}

fn keys(table: &Table<'_>) -> Vec<TrustedKey> {
    let mut keys: Vec<TrustedKey> = Vec::new();
    for (name, typed) in table.named_texts("keys") {
        super::name::check(table, &name);
        let Some(key) = PublicKey::parse(typed.get_ref()) else {
            let sentence = format!("`trust.keys.{}` is not a public key of minisign", name.get_ref());
            let advice =
                "copy the second line of `minisign.pub`, 56 characters that begin with `RW`; never the secret key";
            table.add(Problem::error(typed.span(), sentence).advice(advice));
            continue;
        };
        if let Some(twin) = keys.iter().find(|known| known.key.id() == key.id()) {
            let sentence = format!("`trust.keys.{}` is the key of `{}` once more", name.get_ref(), twin.name);
            table.add(Problem::error(typed.span(), sentence).advice("give each key one name: refusals say who signed"));
            continue;
        }
        keys.push(TrustedKey { name: (*name.get_ref()).to_owned(), key });
    }
    keys
}

/// Asked for without any key, no plugin could ever run.
fn required(table: &Table<'_>) -> bool {
    let required = table.flag("require_signature").unwrap_or(false);
    let nobody = table.table("keys").free_form().is_none_or(|keys| keys.is_empty());
    if let Some((_, span)) = table.value("require_signature").filter(|_| required && nobody) {
        let sentence = "`require_signature` refuses every plugin: there is no key to check a signature with";
        let advice = "name whom you trust: `[trust.keys]`, and under it `ops = \"RW...\"`";
        table.add(Problem::error(span, sentence).advice(advice));
    }
    required
}
