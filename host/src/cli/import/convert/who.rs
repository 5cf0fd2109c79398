//! `auth` and `client_id` of a listener: who is let in.
//!
//! mosquitto knows listeners that ask for a password and let in who has none as well; here a listener does the one or the other, and
//! such a one becomes one that asks.

use super::Around;
use super::listener_tls::Found;
use crate::cli::import::draft::{Hold, Table, quoted};
use crate::cli::import::line::{Line, Said};
use crate::cli::import::outline::Listener;
use crate::cli::import::section::Section;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    None,
    Password,
    Certificate,
}

pub struct Who<'a> {
    pub auth: Auth,
    /// The line that lets everybody in.
    pub anonymous: Option<&'a Line>,
    pub acl_file: Option<String>,
}

/// Here all listeners have one file of passwords and one of access rules between them: those that the first listener has.
pub struct Files {
    passwords: Option<String>,
    acl: Option<String>,
}

const PLUGINS: [&str; 4] = ["auth_plugin", "plugin", "global_plugin", "plugin_use"];

pub fn add<'a>(
    around: &Around<'a, '_>,
    listener: &Listener<'a>,
    files: &Files,
    tls: &Found,
    table: &mut Table<'a>,
) -> Who<'a> {
    let access = around.outline.access(listener);
    let is_plugins = plugins(around, access, table);
    let anonymous = access.flag("allow_anonymous");
    let passwords = access.text(&["password_file"]);
    let acl = access.text(&["acl_file"]);
    access
        .last(&["psk_file"])
        .iter()
        .for_each(|line| line.leave("TLS with pre-shared keys is not offered", "see `psk_hint`"));
    for (file, of_all, what) in [(&passwords, &files.passwords, "passwords"), (&acl, &files.acl, "access rules")] {
        if file.as_ref().is_some_and(|file| of_all.as_deref() != Some(file.value)) {
            let why = format!("all listeners have one file of {what}, and this one is another");
            table.hold(Hold::new(
                why,
                "put what is in it into the one of [access], for this listener alone where that is possible",
            ));
        }
    }
    let anonymous_line = anonymous.as_ref().filter(|said| said.value).map(|said| said.line);
    let is_local_only = around.outline.local().is_some();
    let auth = match is_plugins && !is_local_only {
        // Whoever puts it in force does not open it with that.
        true => Auth::Password,
        false => auth(tls, anonymous.as_ref(), passwords.as_ref(), table, is_local_only),
    };
    if auth == Auth::Certificate && !tls.is_identity && acl.is_some() {
        let why = "who shows a certificate has the name in it as user name, which mosquitto does not look at";
        anonymous_line.iter().for_each(|line| line.leave(why, "write these names into the ACL file"));
    }
    match (auth, &passwords) {
        (Auth::None, _) => {}
        (Auth::Password, passwords) => {
            let closed = anonymous.iter().filter(|said| !said.value);
            table.add(
                "auth",
                quoted("password"),
                closed.map(|said| said.line).chain(passwords.iter().map(|said| said.line)),
            );
        }
        (Auth::Certificate, _) => table.add("auth", quoted("certificate"), None),
    }
    client_ids(around, listener, auth, table);
    Who { auth, anonymous: anonymous_line, acl_file: acl.map(|said| said.value.to_owned()) }
}

fn auth<'a>(
    tls: &Found,
    anonymous: Option<&Said<'a, bool>>,
    passwords: Option<&Said<'a, &'a str>>,
    table: &mut Table<'a>,
    is_local_only: bool,
) -> Auth {
    let lets_all_in = anonymous.is_some_and(|said| said.value);
    if tls.is_identity {
        return Auth::Certificate;
    }
    match (passwords, lets_all_in) {
        (Some(_), true) => {
            let todo = "give them a user name and password, or a listener of their own that asks for none";
            anonymous
                .iter()
                .for_each(|said| said.line.leave("devices without a password are refused where others need one", todo));
            Auth::Password
        }
        (Some(_), false) => Auth::Password,
        (None, true) if tls.asks_for_certificates => Auth::Certificate,
        (None, true) => Auth::None,
        (None, false) if is_local_only => Auth::None,
        (None, false) => {
            let hold = Hold::new(
                "mosquitto 2 lets nobody in here: it says neither `allow_anonymous true` nor `password_file`",
                "say who may come in: `auth = \"password\"` with a file of passwords in [access], or `allow_insecure = true` for everybody",
            );
            table.hold(hold);
            Auth::Password
        }
    }
}

/// What they decide is not known here. Whether there are some.
fn plugins(around: &Around<'_, '_>, access: &Section<'_>, table: &mut Table<'_>) -> bool {
    const WHY: &str = "a plugin decides who is let in, and there are none here for that";
    const TODO: &str = "write its users into a file with `tidegate passwd`, and its rights into [[access.rules]]";
    let mut has_some = false;
    for section in [access, &around.outline.broker] {
        for line in section.lines() {
            let is_one = PLUGINS.contains(&line.keyword.as_str()) || line.keyword == "plugin_load";
            if is_one || line.keyword.starts_with("auth_opt_") || line.keyword.starts_with("plugin_opt_") {
                line.leave(WHY, TODO);
                has_some |= is_one;
            }
        }
    }
    if has_some {
        table.hold(Hold::new(WHY, TODO));
    }
    has_some
}

fn client_ids<'a>(around: &Around<'a, '_>, listener: &Listener<'a>, auth: Auth, table: &mut Table<'a>) {
    let prefix = around.outline.broker.text(&["clientid_prefixes"]);
    if let Some(line) = listener.settings.is_on("use_username_as_clientid") {
        let why = "mosquitto puts the user name in the place of the client id; here a client has to use it itself";
        if auth == Auth::None {
            line.leave("nobody proves a user name here", "let this listener ask for passwords or certificates");
            return;
        }
        line.leave(why, "set the client id of these devices to their user name");
        table.add("client_id", quoted("{user}"), Some(line));
        prefix
            .iter()
            .for_each(|said| said.line.leave("this listener binds client ids to user names", "see `client_id` there"));
        return;
    }
    let Some(prefix) = prefix else { return };
    if prefix.value.contains(['*', '{', '}']) {
        let why = "`*`, `{` and `}` in `clientid_prefixes` mean something else in `client_id`";
        table.hold(Hold::new(why, "use client ids without them"));
        return;
    }
    table.add("client_id", quoted(&format!("{}*", prefix.value)), Some(prefix.line));
}

// === impl Files ===

impl Files {
    pub fn find(around: &Around<'_, '_>) -> Self {
        let listeners = around.outline.listeners.iter().chain(around.outline.local());
        let first = |keyword: &'static str| {
            let mut said = listeners.clone().filter_map(|listener| around.outline.access(listener).text(&[keyword]));
            said.next().map(|said| said.value.to_owned())
        };
        Self { passwords: first("password_file"), acl: first("acl_file") }
    }
}
