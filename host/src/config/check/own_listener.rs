//! An upstream that is a listener of this gateway: what goes there comes back.

use std::net::{IpAddr, SocketAddr};

use crate::config::checked::{Address, Listener, Upstream};
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};
use crate::mqtt::Version;

pub fn check(root: &Table<'_>, listeners: &[Listener], upstreams: &[Upstream], names: &[Placed<&str>]) {
    for upstream in upstreams {
        let leads_to = |listener: &&Listener| upstream.addresses.iter().any(|address| is_at(address, listener.bind));
        let span = names.iter().find(|name| *name.get_ref() == upstream.name).map(Placed::span);
        let (Some(listener), Some(span)) = (listeners.iter().find(leads_to), span) else { continue };
        let sentence =
            format!("the upstream `{}` is this gateway: its url is the listener `{}`", upstream.name, listener.name);
        let end = match upstream.protocol {
            Version::V5 => "is a dead letter after eight rounds",
            Version::V311 => "goes round for ever, for MQTT 3.1.1 has no place for a count",
        };
        let advice = format!(
            "what is sent there comes back, and {end}; for local subscribers, write `{{ local = true }}` in `to`"
        );
        root.add(Problem::warning(span, sentence).advice(advice));
    }
}

/// By number or as `localhost`. A name may mean this machine, too, but that is a question for its resolver.
fn is_at(address: &Address, bind: SocketAddr) -> bool {
    let host = address.host.parse::<IpAddr>().ok();
    let is_loopback = host.map_or(address.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback());
    let is_here = match bind.ip() {
        ip if ip.is_unspecified() => is_loopback || host.is_some_and(|host| host.is_unspecified()),
        ip if ip.is_loopback() && host.is_none() => is_loopback,
        ip => host == Some(ip),
    };
    // Of port 0 the kernel makes another one.
    bind.port() == address.port && bind.port() > 0 && is_here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_port_here_is_this_gateway_and_that_of_another_machine_is_not() {
        let is_ours = |host: &str, port, bind: &str| {
            is_at(&Address { host: host.into(), port, tls: false }, bind.parse().unwrap())
        };
        for (host, bind) in [
            ("localhost", "127.0.0.1:1883"),
            ("127.0.0.1", "127.0.0.1:1883"),
            ("LOCALHOST", "0.0.0.0:1883"),
            ("::1", "[::]:1883"),
            ("10.0.0.1", "10.0.0.1:1883"),
        ] {
            assert!(is_ours(host, 1883, bind), "{host} {bind}");
            assert!(!is_ours(host, 1884, bind), "{host} {bind}");
        }
        assert!(!is_ours("127.0.0.1", 0, "127.0.0.1:0"));
        for (host, bind) in
            [("10.0.0.2", "0.0.0.0:1883"), ("broker.example", "127.0.0.1:1883"), ("127.0.0.1", "10.0.0.1:1883")]
        {
            assert!(!is_ours(host, 1883, bind), "{host} {bind}");
        }
    }
}
