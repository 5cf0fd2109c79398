//! `[operate]`: how the gateway is watched while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::listener::collide;
use crate::config::checked::{Http, Listener, Operate};
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

const MAKE_TOKEN: &str = "its first line is the token: `openssl rand -hex 32 > http.token`, and `chmod 600 http.token`";

pub fn check(table: &Table<'_>, listeners: &[Listener]) -> Operate {
    let token_file = table.file("http_token_file", MAKE_TOKEN);
    let http = http(table, listeners, token_file);
    if let (Some((_, span)), None) = (table.value("http_token_file"), table.value("http")) {
        let advice = "add `http = \"127.0.0.1:9464\"`, or remove `http_token_file`";
        table.add(Problem::error(span, "nobody listens who would ask for this token").advice(advice));
    }
    table.finish();
    Operate { http }
}

fn http(table: &Table<'_>, listeners: &[Listener], token_file: Option<PathBuf>) -> Option<Http> {
    let typed = table.text("http")?;
    let Ok(bind) = typed.get_ref().parse::<SocketAddr>() else {
        let sentence = format!("cannot read \"{}\" as an address to listen on", typed.get_ref());
        let advice = "write an IP address and a port: \"127.0.0.1:9464\" or \"[::1]:9464\"";
        table.add(Problem::error(typed.span(), sentence).advice(advice));
        return None;
    };
    guard_the_network(table, bind, &typed);
    if let Some(listener) = listeners.iter().find(|listener| collide(listener.bind, bind)) {
        let sentence = format!("`{bind}` is taken by the listener `{}`", listener.name);
        table.add(Problem::error(typed.span(), sentence).advice("give each its own port"));
    }
    Some(Http { bind, token_file })
}

/// What is shown is no secret of a plant's, but who may see the names and numbers of it is said by somebody and not left open.
fn guard_the_network(table: &Table<'_>, bind: SocketAddr, typed: &Placed<&str>) {
    if bind.ip().is_loopback() {
        return;
    }
    // A file that was typed and is not there has been told.
    if table.value("http_token_file").is_none() {
        let sentence = format!("`{bind}` is open to the network, and anybody there can read what this gateway does");
        let advice = "add `http_token_file = \"http.token\"`, and let Prometheus send that token (`authorization`); or bind to 127.0.0.1";
        table.add(Problem::error(typed.span(), sentence).advice(advice));
        return;
    }
    let sentence = format!("`{bind}` is open to the network without encryption: the token can be read on its way");
    let advice = "bind to 127.0.0.1 behind a proxy with TLS, or to an address of a network that is trusted";
    table.add(Problem::warning(typed.span(), sentence).advice(advice));
}
