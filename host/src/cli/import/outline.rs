//! Which lines are about what: the broker, its listeners, its connections to other brokers.
//!
//! mosquitto has a listener before the first `listener` line, too. It is started when one of the keywords of [`STARTS`] is said about it,
//! tried with 2.0.11: `cafile` above a `listener 8883` opens port 1883 to the network.

use super::line::Line;
use super::options::{self, Scope};
use super::section::Section;
use crate::config::did_you_mean;

#[derive(Default)]
pub struct Outline<'a> {
    pub broker: Section<'a>,
    pub listeners: Vec<Listener<'a>>,
    pub bridges: Vec<Bridge<'a>>,
    /// What holds for all listeners, unless `per_listener_settings` says that each has its own.
    access: Section<'a>,
    is_per_listener: bool,
    default: Listener<'a>,
}

#[derive(Clone, Default)]
pub struct Listener<'a> {
    /// The `listener` line; none for the one that mosquitto has by default.
    pub head: Option<&'a Line>,
    pub settings: Section<'a>,
    access: Section<'a>,
}

pub struct Bridge<'a> {
    /// The `connection` line.
    pub head: &'a Line,
    pub settings: Section<'a>,
}

/// Where the lines of one file are put.
struct Cursor {
    scope: usize,
    listener: Option<usize>,
    bridge: Option<usize>,
}

/// Said in any way, these start the listener that mosquitto has by default; and these when they are on.
const STARTS: [&str; 15] = [
    "bind_address",
    "bind_interface",
    "cafile",
    "capath",
    "certfile",
    "ciphers",
    "ciphers_tls1.3",
    "crlfile",
    "dhparamfile",
    "keyfile",
    "port",
    "psk_hint",
    "socket_domain",
    "tls_engine",
    "tls_engine_kpass_sha1",
];
const STARTS_WHEN_ON: [&str; 4] =
    ["require_certificate", "use_identity_as_username", "use_subject_as_username", "use_username_as_clientid"];
/// And these unless they say what is so anyway.
const STARTS_UNLESS: [(&str, &str); 4] =
    [("max_connections", "-1"), ("max_qos", "2"), ("maximum_qos", "2"), ("protocol", "mqtt")];
const STARTS_PER_LISTENER: [&str; 5] = ["auth_plugin", "password_file", "plugin", "plugin_use", "psk_file"];

// === impl Outline ===

impl<'a> Outline<'a> {
    pub fn new(lines: &'a [Line]) -> Self {
        let is_on =
            |line: &&Line| line.keyword == "per_listener_settings" && ["true", "1"].contains(&line.value.as_str());
        let mut outline = Self { is_per_listener: lines.iter().any(|line| is_on(&line)), ..Self::default() };
        let mut default = Listener::default();
        let mut cursor = Cursor { scope: 0, listener: None, bridge: None };
        let mut outer = None;
        for line in lines {
            if line.scope != cursor.scope {
                let next = Cursor { scope: line.scope, listener: None, bridge: None };
                let before = std::mem::replace(&mut cursor, next);
                match before.scope {
                    0 => outer = Some(before),
                    // Back in the first file.
                    _ if line.scope == 0 => cursor = outer.take().unwrap_or(cursor),
                    _ => {}
                }
            }
            outline.put(line, &mut cursor, &mut default);
        }
        outline.broker.flag("per_listener_settings");
        if outline.starts(&default) {
            outline.listeners.insert(0, default);
        } else if outline.listeners.is_empty() {
            outline.default = default;
        } else {
            let lines = default.settings.lines().chain(default.access.lines());
            lines.for_each(|line| {
                line.needless("mosquitto takes no notice of it either: it stands above the first `listener`")
            });
        }
        outline
    }

    /// Who may use a listener, and what for.
    pub fn access<'b>(&'b self, listener: &'b Listener<'a>) -> &'b Section<'a> {
        if self.is_per_listener { &listener.access } else { &self.access }
    }

    /// The one that mosquitto opens to this machine, and to everybody there, when no other is configured.
    pub fn local(&self) -> Option<&Listener<'a>> {
        self.listeners.is_empty().then_some(&self.default)
    }

    /// What all listeners have together.
    pub fn leave_access(&self, why: &str, todo: &str) {
        self.access.leave(why, todo);
    }

    fn starts(&self, default: &Listener<'_>) -> bool {
        let said = |keyword: &str| default.settings.all(keyword).next().is_some();
        let on =
            |keyword: &&str| default.settings.all(keyword).any(|line| ["true", "1"].contains(&line.value.as_str()));
        let otherwise =
            |(keyword, value): &(&str, &str)| default.settings.all(keyword).any(|line| line.value != *value);
        let own = |keyword: &&str| default.access.all(keyword).next().is_some();
        STARTS.into_iter().any(said)
            || STARTS_WHEN_ON.iter().any(on)
            || STARTS_UNLESS.iter().any(otherwise)
            || self.is_per_listener && STARTS_PER_LISTENER.iter().any(own)
    }

    fn put(&mut self, line: &'a Line, cursor: &mut Cursor, default: &mut Listener<'a>) {
        let Some(keyword) = options::find(&line.keyword) else {
            let known: Vec<&str> = options::all().map(|keyword| keyword.name).collect();
            let meant = did_you_mean(&line.keyword, &known, "");
            let todo = if meant.starts_with("did you mean") { meant } else { "correct it, or remove it".to_owned() };
            line.leave("this is no keyword of a mosquitto.conf, and mosquitto does not start with it", todo);
            return;
        };
        options::settle(keyword, line);
        match line.keyword.as_str() {
            "listener" => {
                self.listeners.push(Listener { head: Some(line), ..Listener::default() });
                cursor.listener = Some(self.listeners.len() - 1);
            }
            "connection" => {
                self.bridges.push(Bridge { head: line, settings: Section::default() });
                cursor.bridge = Some(self.bridges.len() - 1);
            }
            "include_dir" if line.scope > 0 => {
                line.leave("mosquitto follows `include_dir` in its first file only", "name the folder there");
            }
            _ => self.put_below(keyword.scope, line, cursor, default),
        }
    }

    fn put_below(&mut self, scope: Scope, line: &'a Line, cursor: &Cursor, default: &mut Listener<'a>) {
        let listener = match cursor.listener {
            Some(index) => self.listeners.get_mut(index),
            None => Some(default),
        };
        match (scope, listener) {
            (Scope::Broker, _) => self.broker.push(line),
            (Scope::Access, Some(listener)) if self.is_per_listener => listener.access.push(line),
            (Scope::Access, _) => self.access.push(line),
            (Scope::Listener, Some(listener)) => listener.settings.push(line),
            (Scope::Bridge, _) => match cursor.bridge.and_then(|index| self.bridges.get_mut(index)) {
                Some(bridge) => bridge.settings.push(line),
                None => line.leave("it stands above the first `connection`", "put it below the one that it is for"),
            },
            (Scope::Listener, None) => {}
        }
    }
}

// === impl Listener ===

impl Listener<'_> {
    /// All that is said of it alone.
    pub fn leave(&self, why: &str, todo: &str) {
        self.head.iter().for_each(|line| line.leave(why, todo));
        self.settings.leave(why, todo);
        self.access.leave(why, todo);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::lines;
    use super::*;

    fn ports(text: &str) -> Vec<String> {
        let lines = lines(text, "m.conf", 0);
        let outline = Outline::new(&lines);
        outline.listeners.iter().map(|it| it.head.map_or("default".into(), |head| head.value.clone())).collect()
    }

    /// Each line was tried with mosquitto 2.0.11.
    #[test]
    fn the_default_listener_is_there_when_mosquitto_starts_it() {
        for starts in
            ["max_connections 5", "max_qos 1", "socket_domain ipv4", "cafile /x", "bind_interface lo", "port 1884"]
        {
            assert_eq!(ports(&format!("{starts}\nlistener 2")), ["default", "2"], "{starts}");
        }
        for does_not in
            ["protocol mqtt", "require_certificate false", "http_dir /x", "tls_version tlsv1.2", "password_file /x"]
        {
            assert_eq!(ports(&format!("{does_not}\nlistener 2")), ["2"], "{does_not}");
        }
        assert_eq!(ports("per_listener_settings true\npassword_file /x"), ["default"]);
        assert!(ports("per_listener_settings true\nallow_anonymous true").is_empty());
    }

    #[test]
    fn a_file_that_is_included_begins_without_a_listener_and_ends_before_the_next_line() {
        let mut all = lines("listener 2\n", "m.conf", 0);
        all.extend(lines("max_connections 9\n", "i.conf", 1));
        all.extend(lines("protocol websockets\n", "m.conf", 0));
        let outline = Outline::new(&all);
        let [default, two] = outline.listeners.as_slice() else { panic!("two listeners") };
        assert!(default.head.is_none() && default.settings.all("max_connections").count() == 1);
        assert_eq!(two.settings.all("protocol").count(), 1);
    }

    #[test]
    fn what_nobody_knows_is_named_with_what_is_meant() {
        let lines = lines("listner 1883\nfrobnicate\n", "m.conf", 0);
        Outline::new(&lines);
        assert!(format!("{:?}", lines[0].fate()).contains("did you mean `listener`"));
        assert!(format!("{:?}", lines[1].fate()).contains("no keyword"));
    }
}
