//! `address` of a connection: one broker, or several in the order of preference.

use crate::cli::import::draft::Hold;

const DEFAULT_PORT: u16 = 1883;

/// As urls. mosquitto's default port is 1883, with TLS, too.
pub fn urls<'a>(words: impl Iterator<Item = &'a str>, is_tls: bool) -> Result<Vec<String>, Hold> {
    let mut urls: Vec<String> = Vec::new();
    for word in words.take_while(|word| !word.starts_with('#')) {
        let url = url(word, is_tls)?;
        // A broker that stands there twice is none more.
        if !urls.iter().any(|known| known.eq_ignore_ascii_case(&url)) {
            urls.push(url);
        }
    }
    if urls.is_empty() {
        return Err(Hold::new("`address` names no broker", "name one"));
    }
    Ok(urls)
}

/// `host`, `host:port`, `::1:1883`
fn url(word: &str, is_tls: bool) -> Result<String, Hold> {
    let scheme = if is_tls { "mqtts" } else { "mqtt" };
    let refuse = || Hold::new(format!("`{word}` is no address of a broker"), "correct it in `url`");
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port: &u16| *port > 0).ok_or_else(refuse)?),
        None => (word, DEFAULT_PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.contains(':') {
        host.parse::<std::net::Ipv6Addr>().map_err(|_| refuse())?;
        return Ok(format!("{scheme}://[{host}]:{port}"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(is_plain) {
        return Err(refuse());
    }
    Ok(format!("{scheme}://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_url_with_its_port() {
        for (words, is_tls, expected) in [
            ("broker", false, vec!["mqtt://broker:1883"]),
            ("broker.example:8883", true, vec!["mqtts://broker.example:8883"]),
            ("10.0.0.1 10.0.0.2:1884 10.0.0.1", false, vec!["mqtt://10.0.0.1:1883", "mqtt://10.0.0.2:1884"]),
            ("::1:1884 # a comment", false, vec!["mqtt://[::1]:1884"]),
            ("[fe80::1]:1884", false, vec!["mqtt://[fe80::1]:1884"]),
        ] {
            assert_eq!(urls(words.split(' '), is_tls).unwrap(), expected, "{words}");
        }
        for wrong in ["", "# none", "host:0", "host:99999", "host:x", "us er@host", "u@host", "mqtt://host", ":1883"] {
            assert!(urls(wrong.split(' ').filter(|word| !word.is_empty()), false).is_err(), "{wrong}");
        }
    }
}
