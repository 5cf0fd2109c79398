//! Which pages may connect (RFC 6454): a browser says whose page it shows, and nobody else can make it say so.
//!
//! A page of anybody could otherwise use the browser of somebody in the plant to reach the gateway. Who is no browser sends no origin, or what it
//! likes: this is about pages, not about devices.

use std::net::{IpAddr, SocketAddr};

/// In the place of all others.
const ANY: &str = "*";

/// `host` is the address that the client has connected to, as it says. Both in lower case or not.
pub fn is_allowed(origin: &str, host: Option<&str>, allowed: &[String]) -> bool {
    allowed.iter().any(|one| one == ANY || one.eq_ignore_ascii_case(origin))
        || host.is_some_and(|host| is_the_gateways_own(origin, host))
}

/// The page comes from this very port, which serves none; clients that are no browsers (paho) say so. Only of an address: anybody's name
/// can be made to point here (DNS rebinding).
fn is_the_gateways_own(origin: &str, host: &str) -> bool {
    let is_same = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    is_same && is_address(host)
}

fn is_address(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<SocketAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || [host, name, bare].iter().any(|text| text.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(origin: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|one| (*one).to_owned()).collect();
        is_allowed(origin, Some("gateway.plant:8083"), &allowed)
    }

    #[test]
    fn a_page_is_allowed_that_is_listed_to_the_last_letter_of_its_address() {
        let listed = ["https://panel.example", "http://10.0.0.7:3000"];
        assert!(allows("https://panel.example", &listed) && allows("HTTPS://Panel.example", &listed));
        assert!(allows("http://10.0.0.7:3000", &listed));
        for other in [
            "http://panel.example",
            "https://panel.example:8443",
            "https://panel.example.evil.example",
            "https://evil.example/https://panel.example",
            "https://xpanel.example",
            "null",
            "",
        ] {
            assert!(!allows(other, &listed), "{other}");
            assert!(!allows(other, &[]), "{other}");
            assert!(allows(other, &["*"]), "{other}");
        }
    }

    #[test]
    fn an_origin_that_is_the_gateway_itself_is_allowed_by_its_address_and_not_by_a_name() {
        for host in ["192.168.1.5:8083", "192.168.1.5", "[fe80::1]:8083", "[::1]", "localhost:8083", "localhost"] {
            assert!(is_allowed(&format!("https://{host}"), Some(host), &[]), "{host}");
            assert!(!is_allowed(&format!("https://{host}"), Some("10.0.0.1:8083"), &[]), "{host}");
            assert!(!is_allowed(&format!("https://{host}"), None, &[]), "{host}");
        }
        for host in ["evil.example:8083", "evil.example", "10.0.0.1.evil.example", "::1.evil.example:80", ""] {
            assert!(!is_allowed(&format!("http://{host}"), Some(host), &[]), "{host}");
        }
    }
}
