//! `connection`: an upstream, and bindings without plugins that lead to it.

use super::names::Names;
use super::topics::{self, Outward};
use super::{Around, addresses, limits, upstream_tls};
use crate::cli::import::draft::{Draft, Hold, Secret, Table, one_or_list, quoted};
use crate::cli::import::line::Line;
use crate::cli::import::outline::Bridge;

/// MQTT counts keep-alive in 16 bits; ours ends at 18 hours.
const LONGEST_KEEP_ALIVE: i64 = 64_800;
const SHORTEST_KEEP_ALIVE: i64 = 5;

/// Lines that are forwarded in the same way.
struct Group<'a> {
    outward: Outward,
    filters: Vec<String>,
    lines: Vec<&'a Line>,
}

pub fn add_all<'a>(around: &Around<'a, '_>, draft: &mut Draft<'a>) {
    let (mut names, mut binding_names, mut bindings) = (Names::default(), Names::default(), Vec::new());
    let mut clients: Vec<(String, Vec<String>)> = Vec::new();
    for bridge in &around.outline.bridges {
        let name = names.new_one(bridge.head.words().next().unwrap_or_default());
        let mut secret = None;
        let mut table = upstream(around, bridge, &name, &mut secret, &mut clients);
        let mut own = own_bindings(bridge, &name, &mut binding_names);
        if own.is_empty() {
            table.hold(Hold::new("nothing is forwarded to it", "add a binding that names it"));
        }
        settle(&mut table, &mut own, bridge, &name);
        draft.secrets.extend(secret.filter(|_| table.held.is_none()));
        draft.tables.push(table);
        bindings.extend(own);
    }
    draft.tables.extend(bindings);
}

fn settle<'a>(table: &mut Table<'a>, bindings: &mut [Table<'a>], bridge: &Bridge<'a>, name: &str) {
    let Some(hold) = table.held.clone() else {
        bridge.head.take();
        return;
    };
    let why = format!("this connection is not in force: {}", hold.why);
    let todo = format!("{}; then take the `#` away from [upstreams.{name}] and its bindings", hold.todo);
    bridge.head.leave(why.as_str(), todo.as_str());
    bridge.settings.leave(&why, &todo);
    bindings
        .iter_mut()
        .for_each(|binding| binding.hold(Hold::new(format!("upstream `{name}` is not, either"), "see there")));
}

fn upstream<'a>(
    around: &Around<'a, '_>,
    bridge: &Bridge<'a>,
    name: &str,
    secret: &mut Option<Secret>,
    clients: &mut Vec<(String, Vec<String>)>,
) -> Table<'a> {
    let settings = &bridge.settings;
    let mut table = Table::new(format!("[upstreams.{name}]"), Some(bridge.head));
    let urls = urls(bridge, &mut table);
    protocol(bridge, &mut table);
    client_id(bridge, &urls, &mut table, clients);
    upstream_tls::add(around, settings, &mut table);
    *secret = credentials(around, bridge, name, &mut table);
    if let Some(said) = limits::window(around.outline) {
        table.add("max_inflight", said.value.to_string(), Some(said.line));
    }
    if let Some(said) = settings.number("keepalive_interval") {
        let seconds = said.value.clamp(SHORTEST_KEEP_ALIVE, LONGEST_KEEP_ALIVE);
        table.add("keep_alive", quoted(&format!("{seconds}s")), Some(said.line));
    }
    if let Some(line) = settings.is_on("round_robin") {
        table.add("failback", quoted("1day"), Some(line));
        table.note("It stays where it is until that fails; the first one is looked for once a day.");
    }
    if let Some(said) = settings.number("bridge_session_expiry_interval") {
        table.add(
            "session_expiry",
            quoted(&format!("{}s", said.value.clamp(1, i64::from(u32::MAX) / 2))),
            Some(said.line),
        );
    }
    table
}

fn urls<'a>(bridge: &Bridge<'a>, table: &mut Table<'a>) -> Vec<String> {
    let missing = || Hold::new("it has no `address`", "name the other broker in `url`");
    let line = bridge.settings.text(&["address", "addresses"]).map(|said| said.line);
    let found =
        line.ok_or_else(missing).and_then(|line| addresses::urls(line.words(), upstream_tls::is_on(&bridge.settings)));
    match found {
        Ok(urls) => {
            table.add("url", one_or_list(&urls), line);
            urls
        }
        Err(hold) => {
            table.add("url", quoted("mqtt://HOST:PORT"), line);
            table.hold(hold);
            Vec::new()
        }
    }
}

fn protocol<'a>(bridge: &Bridge<'a>, table: &mut Table<'a>) {
    let said = bridge.settings.word(&["bridge_protocol_version"]);
    let line = said.as_ref().map(|said| said.line);
    match said.map(|said| said.value) {
        Some("mqttv50") => table.add("protocol", "5", line),
        None | Some("mqttv311") => {
            table.add("protocol", "4", line);
            table.note(
                "MQTT 3.1.1. Write 5 if the other broker speaks MQTT 5: it then says itself what it takes and refuses.",
            );
        }
        Some(other) => {
            table.add("protocol", "4", line);
            let todo = "see whether the other broker speaks MQTT 3.1.1, which is written for it";
            line.iter().for_each(|line| line.leave(format!("an upstream is not spoken to in `{other}`"), todo));
        }
    }
}

fn client_id<'a>(
    bridge: &Bridge<'a>,
    urls: &[String],
    table: &mut Table<'a>,
    clients: &mut Vec<(String, Vec<String>)>,
) {
    let Some(said) = bridge.settings.text(&["clientid", "remote_clientid"]) else { return };
    table.add("client_id", quoted(said.value), Some(said.line));
    let is_same = |(id, others): &(String, Vec<String>)| {
        id == said.value && others.iter().any(|other| urls.iter().any(|url| url.eq_ignore_ascii_case(other)))
    };
    if clients.iter().any(is_same) {
        table
            .hold(Hold::new("another connection is the same client of the same broker", "give it another `client_id`"));
    }
    clients.push((said.value.to_owned(), urls.to_owned()));
}

fn credentials<'a>(around: &Around<'a, '_>, bridge: &Bridge<'a>, name: &str, table: &mut Table<'a>) -> Option<Secret> {
    let username = bridge.settings.text(&["username", "remote_username"]);
    let password = bridge.settings.text(&["password", "remote_password"]);
    if let Some(said) = &username {
        table.add("username", quoted(said.value), Some(said.line));
    }
    let password = password?;
    if username.is_none() {
        password
            .line
            .leave("mosquitto sends a password with a user name only", "add `remote_username`, and import again");
        return None;
    }
    let file = format!("{name}.password");
    if !around.has_place {
        let todo = format!(
            "import with `-o FILE`, which writes `{file}` beside it; or make that file yourself, and name it in `password_file`"
        );
        password.line.leave("it is written into no output that others may read", todo);
        return None;
    }
    table.add("password_file", quoted(&file), Some(password.line));
    Some(Secret { file, text: password.value.to_owned() })
}

/// One for all lines that differ in the filter only: a message that two of them match is forwarded once, as by mosquitto.
fn own_bindings<'a>(bridge: &Bridge<'a>, upstream: &str, names: &mut Names) -> Vec<Table<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for line in bridge.settings.all("topic") {
        let Some(outward) = topics::outward(line) else { continue };
        let is_same =
            |group: &&mut Group<'_>| (&group.outward.topic, group.outward.qos) == (&outward.topic, outward.qos);
        match groups.iter_mut().find(is_same) {
            Some(group) => {
                if !group.filters.contains(&outward.filter) {
                    group.filters.push(outward.filter);
                }
                group.lines.push(line);
            }
            None => groups.push(Group { filters: vec![outward.filter.clone()], outward, lines: vec![line] }),
        }
    }
    let retain = bridge.settings.flag("bridge_outgoing_retain").filter(|said| !said.value).map(|said| said.line);
    groups.into_iter().map(|group| binding(group, &names.new_one(upstream), upstream, retain)).collect()
}

fn binding<'a>(group: Group<'a>, name: &str, upstream: &str, retain: Option<&'a Line>) -> Table<'a> {
    let Group { outward, filters, lines } = group;
    let mut table = Table::new("[[bindings]]", None);
    table.add("name", quoted(name), None);
    table.add("topic", one_or_list(&filters), lines);
    let mut to = vec![format!("upstream = {}", quoted(upstream))];
    to.extend(outward.topic.iter().map(|topic| format!("topic = {}", quoted(topic))));
    to.extend(outward.qos.iter().map(|qos| format!("qos = {qos}")));
    to.extend(retain.map(|_| "retain = false".to_owned()));
    table.add("to", format!("[{{ {} }}]", to.join(", ")), retain);
    table
}
