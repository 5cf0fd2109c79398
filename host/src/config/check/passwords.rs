//! `[access] passwords`: the file of users, and the listeners that ask for it.

use std::ops::Range;
use std::path::PathBuf;

use crate::config::checked::{Auth, Listener};
use crate::config::problem::Problem;
use crate::config::raw::Table;

/// A file that nobody asks is a lock that somebody believes in; one that is asked for and not there lets nobody in.
pub fn file(root: &Table<'_>, table: &Table<'_>, listeners: &[Listener]) -> Option<PathBuf> {
    const MAKE: &str = "make it with `tidegate passwd users.passwd USER`";
    let asking = listeners.iter().find(|listener| listener.auth == Auth::Password);
    if table.value("passwords").is_none() {
        if let Some(listener) = asking {
            let sentence = format!("the listener `{}` asks for passwords, and there is no file of them", listener.name);
            let advice = format!("add `[access]`, and below it `passwords = \"users.passwd\"`; {MAKE}");
            table.add(Problem::error(place_of_auth(root, listener), sentence).advice(advice));
        }
        return None;
    }
    let path = table.file("passwords", MAKE)?;
    // A listener that was not understood may be the one that asks.
    if let Some((_, span)) = table.value("passwords").filter(|_| asking.is_none() && !table.has_problems()) {
        let sentence = "no listener asks for these passwords: whoever reaches one may connect";
        let advice = "add `auth = \"password\"` to each listener that is to ask for them, or remove `passwords`";
        table.add(Problem::error(span, sentence).advice(advice));
    }
    Some(path)
}

fn place_of_auth(root: &Table<'_>, listener: &Listener) -> Range<usize> {
    let listeners = root.table("broker").table("listeners").free_form();
    let typed =
        listeners.and_then(|listeners| listeners.get(listener.name.as_str())?.get_ref().as_table()?.get("auth"));
    typed.map_or(root.span(), |auth| auth.span())
}
