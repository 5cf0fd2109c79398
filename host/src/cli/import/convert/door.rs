//! Where a listener listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::cli::import::draft::Hold;
use crate::cli::import::line::Line;
use crate::cli::import::outline::Listener;

/// An address and the lines that it comes from.
pub struct Door<'a> {
    pub bind: SocketAddr,
    pub from: Vec<&'a Line>,
    pub is_ipv4_of_both: bool,
}

/// mosquitto's own, and ours.
pub const DEFAULT_PORT: u16 = 1883;
const NO_ADDRESS: &str = "see `ip address`";

/// What the lines say, as far as it goes: a listener that is held shows it, too.
pub fn find<'a>(listener: &Listener<'a>) -> Result<Door<'a>, Hold> {
    let mut from: Vec<&'a Line> = Vec::new();
    let (port, host) = match listener.head {
        Some(head) => {
            let mut words = head.words();
            let port = words.next().and_then(|word| word.parse::<u16>().ok());
            let port =
                port.ok_or_else(|| Hold::new("mosquitto takes no such port", "write a number from 1 to 65535"))?;
            (port, words.next().filter(|word| !word.starts_with('#')))
        }
        None => {
            let port = listener.settings.number("port");
            let host = listener.settings.text(&["bind_address"]);
            from.extend(port.iter().map(|said| said.line));
            from.extend(host.iter().map(|said| said.line));
            let port = port.map_or(Ok(DEFAULT_PORT), |said| u16::try_from(said.value));
            let port = port.map_err(|_| Hold::new("mosquitto takes no such port", "write a number from 1 to 65535"))?;
            (port, host.map(|said| said.value))
        }
    };
    if port == 0 {
        return Err(Hold::new("there are no Unix sockets here", "let its clients connect to a listener on 127.0.0.1"));
    }
    if let Some(interface) = listener.settings.text(&["bind_interface"]) {
        let why = format!("`bind` is an address, and this is the interface {}", interface.value);
        return Err(Hold::new(why, format!("write the address that it has ({NO_ADDRESS})")));
    }
    let domain = listener.settings.word(&["socket_domain"]);
    from.extend(domain.iter().map(|said| said.line));
    let (ip, is_ipv4_of_both) = match (host, domain.map(|said| said.value)) {
        (Some(host), _) => (address(host)?, false),
        (None, Some("ipv6")) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), false),
        (None, domain) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), domain.is_none()),
    };
    Ok(Door { bind: SocketAddr::new(ip, port), from, is_ipv4_of_both })
}

fn address(host: &str) -> Result<IpAddr, Hold> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let advice = || format!("write the address of this machine that is meant ({NO_ADDRESS})");
    host.parse().map_err(|_| Hold::new("`bind` is an address, and this is a name", advice()))
}
