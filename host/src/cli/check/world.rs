//! What the gateway needs of its machine: its folder, its ports, room on the disk; and what an earlier configuration has left there.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use bytesize::ByteSize;
use rustix::fs::{Access, access, statvfs};

use super::{Finding, Verdict};
use crate::app::SPOOL;
use crate::auth;
use crate::config::{self, Config, Listener};
use crate::operate::admin::client::Admin;
use crate::operate::http::Token;
use crate::setup;
use crate::setup::descriptors::Places;
use crate::spool::{Backlog, View};

/// What is said of the data folder is about this.
pub const DATA_DIR: &str = "data_dir";

/// Nothing is changed: folders are asked whether they could be written to, and ports are let go at once.
pub fn look(config: &Config) -> Vec<Finding> {
    let is_running = matches!(Admin::connect(&config.gateway.data_dir), Ok(Some(_)));
    let mut findings = vec![data_dir(&config.gateway.data_dir)];
    findings.extend(room(config));
    // Its own ports are taken, which is as it should be.
    findings.extend(config.broker.listeners.iter().filter(|_| !is_running).filter_map(port));
    findings.extend(setup::exposed(config).into_iter().map(|text| Finding::new("secrets", Verdict::Doubtful, text)));
    findings.extend(config.operate.http.iter().flat_map(|http| of_http(http, is_running)));
    findings.extend(descriptors(&Places::expect(config)));
    findings.extend(without_users(config));
    findings.extend(left_behind(config));
    findings.retain(|finding| finding.verdict != Verdict::Good);
    findings
}

/// The folder, or the one in which it would be made.
fn data_dir(data_dir: &Path) -> Finding {
    let about = DATA_DIR;
    let shown = data_dir.display();
    let Some(there) = existing(data_dir) else {
        return Finding::new(about, Verdict::Bad, format!("no part of `{shown}` is there: correct `gateway.data_dir`"));
    };
    if !there.is_dir() {
        let text = format!("`{}` is not a folder: move it away, or correct `gateway.data_dir`", there.display());
        return Finding::new(about, Verdict::Bad, text);
    }
    match access(there, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::new(about, Verdict::Good, format!("`{shown}` can be written to")),
        Err(error) => {
            let text = format!(
                "`{}` cannot be written to ({error}): give it to this user, or choose another `gateway.data_dir`",
                there.display()
            );
            Finding::new(about, Verdict::Bad, text)
        }
    }
}

fn existing(path: &Path) -> Option<&Path> {
    path.ancestors()
        .map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path })
        .find(|path| path.exists())
}

/// Whether devices would be held back from the start.
fn room(config: &Config) -> Option<Finding> {
    let disk = statvfs(existing(&config.gateway.data_dir)?).ok()?;
    let (free, floor) = (disk.f_bavail.saturating_mul(disk.f_frsize), config.spool.free_floor);
    let (free_shown, floor_shown) = (ByteSize(free), ByteSize(floor));
    (free < floor).then(|| {
        let text = format!("{free_shown} are free on this disk and `free_floor` is {floor_shown}: no device would get an ack; make room, or lower it under `[spool]`");
        Finding::new("disk", Verdict::Doubtful, text)
    })
}

/// Whether there may be as many connections as are configured.
fn descriptors(places: &Places) -> Option<Finding> {
    places.complaint().map(|text| Finding::new("descriptors", Verdict::Doubtful, text))
}

/// Where metrics are, and the token for them.
fn of_http(http: &config::Http, is_running: bool) -> Vec<Finding> {
    let error = if is_running { None } else { TcpListener::bind(http.bind).err() };
    let port = error.map(|error| {
        let text = format!("{} cannot be bound ({error}): does another program listen there?", http.bind);
        Finding::new("operate.http", Verdict::Bad, text)
    });
    let token = http.token_file.as_deref().and_then(|path| {
        let error = Token::read(path).err()?;
        let text = format!("`{}` {error}", path.display());
        Some(Finding::new("operate.http_token_file", Verdict::Bad, text))
    });
    port.into_iter().chain(token).collect()
}

fn port(listener: &Listener) -> Option<Finding> {
    let bind: SocketAddr = listener.bind;
    let error = TcpListener::bind(bind).err()?;
    let text = format!("listener `{}`: {bind} cannot be listened on: {error}; {}", listener.name, way_out(&error));
    Some(Finding::new(format!("listener {}", listener.name), Verdict::Bad, text))
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "end who has it (`ss -tlnp` shows it), or change `bind`",
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address (`ip address` shows those that it has): change `bind`"
        }
        ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE: give it to this user, or change `bind`"
        }
        _ => "change `bind`",
    }
}

/// A file that cannot be read is an error, and told by who opens it.
fn without_users(config: &Config) -> Option<Finding> {
    let path = config.access.passwords.as_deref()?;
    let is_empty = auth::file::read(path).is_ok_and(|users| users.is_empty());
    let shown = path.display();
    is_empty.then(|| {
        let text = format!("the password file `{shown}` has no users, so nobody is let in where passwords are asked for: `tidegate passwd {shown} USER` adds one");
        Finding::new("access", Verdict::Doubtful, text)
    })
}

/// Messages for upstreams that are not configured any more: they wait for ever, and take room from the others.
fn left_behind(config: &Config) -> Vec<Finding> {
    let spool = config.gateway.data_dir.join(SPOOL);
    if !spool.is_dir() {
        return Vec::new();
    }
    let backlogs = View::read(&spool, &mut |_, _| {}).and_then(|view| view.backlogs(&spool, &mut |_, _| {}));
    let backlogs = match backlogs {
        Ok(backlogs) => backlogs,
        Err(error) => {
            return vec![Finding::new("spool", Verdict::Doubtful, format!("the spool was not looked at: {error}"))];
        }
    };
    let is_left = |backlog: &Backlog| {
        backlog.messages > 0 && config.upstreams.iter().all(|upstream| upstream.name != backlog.upstream)
    };
    backlogs.into_iter().filter(is_left).map(|backlog| describe(&backlog)).collect()
}

fn describe(Backlog { upstream, messages, .. }: &Backlog) -> Finding {
    let text = format!(
        "{messages} messages wait for an upstream that is not configured: name it again to send them, or drop them with `tidegate spool purge --upstream {upstream}`"
    );
    Finding::new(format!("upstream {upstream}"), Verdict::Doubtful, text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{self, UpstreamId};
    use crate::message::{Message, QoS};
    use crate::spool::{Output, Record, Spool};
    use crate::topic::TopicName;

    fn parse(text: &str, dir: &Path) -> Config {
        config::parse(text, "f", dir).unwrap()
    }

    fn texts(findings: &[Finding], verdict: Verdict) -> Vec<&str> {
        findings.iter().filter(|finding| finding.verdict == verdict).map(|finding| finding.text.as_str()).collect()
    }

    #[test]
    fn a_machine_that_has_everything_is_not_spoken_of_and_nothing_is_made_there() {
        let dir = tempfile::tempdir().unwrap();
        let config = parse("[gateway]\ndata_dir = \"a/b\"\n[broker.listeners.l]\nbind = \"127.0.0.1:0\"", dir.path());
        assert!(look(&config).is_empty());
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn a_data_folder_that_is_a_file_is_bad() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("data"), "").unwrap();
        let config = parse("[gateway]\ndata_dir = \"data\"\n[broker.listeners.l]\nbind = \"127.0.0.1:0\"", dir.path());
        let findings = look(&config);
        assert!(texts(&findings, Verdict::Bad)[0].contains("is not a folder"), "{findings:?}");
    }

    #[test]
    fn a_port_that_somebody_has_is_bad_and_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let findings = look(&parse(&format!("[broker.listeners.l]\nbind = \"127.0.0.1:{port}\""), dir.path()));
        let [text] = texts(&findings, Verdict::Bad)[..] else { panic!("{findings:?}") };
        assert!(text.contains("listener `l`") && text.contains(&port.to_string()), "{text}");
    }

    #[test]
    fn a_disk_with_less_than_its_floor_is_a_doubt() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = parse("[broker.listeners.l]\nbind = \"127.0.0.1:0\"", dir.path());
        config.spool.free_floor = u64::MAX;
        let findings = look(&config);
        assert!(texts(&findings, Verdict::Doubtful)[0].contains("free_floor"), "{findings:?}");
    }

    #[test]
    fn more_connections_than_descriptors_are_a_doubt() {
        let places = Places { connections: 900, descriptors: 1_024, reserved: 124, refused: Some(5_000) };
        let finding = descriptors(&places).unwrap();
        assert!(finding.verdict == Verdict::Doubtful && finding.text.contains("LimitNOFILE=5124"), "{finding:?}");
        assert!(descriptors(&Places { refused: None, ..places }).is_none());
    }

    #[tokio::test]
    async fn what_waits_for_an_upstream_that_is_not_there_any_more_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let config = parse("[gateway]\ndata_dir = \"data\"\n[broker.listeners.l]\nbind = \"127.0.0.1:0\"", dir.path());
        let (spool, _) =
            Spool::open(&dir.path().join("data").join(SPOOL), &["old"], &config.spool, Default::default()).unwrap();
        let message = Message::new(TopicName::parse("t").unwrap(), "1", QoS::AtLeastOnce);
        let output = Output { upstream: UpstreamId(0), binding: None, message, arrived: std::time::Instant::now() };
        spool.commit(Record { outputs: vec![output], ..Record::default() });
        spool.close().await;
        let findings = look(&config);
        let [text] = texts(&findings, Verdict::Doubtful)[..] else { panic!("{findings:?}") };
        assert!(text.starts_with("1 messages wait") && text.contains("--upstream old"), "{text}");
    }
}
