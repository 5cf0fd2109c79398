//! `pin_sha256`: fingerprints of certificates, as tools print them.

use base64ct::{Base64, Base64Unpadded, Encoding as _};

use crate::config::problem::Problem;
use crate::config::raw::Table;

type Pin = [u8; 32];

const ADVICE: &str = "the SHA-256 of the server's certificate, in hex or Base64: `openssl x509 -in server.pem -noout -fingerprint -sha256` prints it";

/// What stands before the digits in the output of openssl and of others.
const PREFIXES: [&str; 3] = ["sha256 fingerprint=", "sha-256 fingerprint=", "sha256:"];
/// Of curl and of HTTP: what follows is the digest of the public key.
const PUBLIC_KEY: &str = "sha256//";

pub fn check(table: &Table<'_>) -> Vec<Pin> {
    let Some(typed) = table.texts("pin_sha256") else { return Vec::new() };
    if let (true, Some((_, span))) = (typed.is_empty(), table.value("pin_sha256")) {
        table.add(Problem::error(span, "`pin_sha256` is an empty list: nobody would be trusted").advice(ADVICE));
    }
    let read = |text: &str| parse(text).ok_or_else(|| wrong(text));
    let pin = |typed: crate::config::raw::Placed<&str>| {
        let report = |sentence| table.add(Problem::error(typed.span(), sentence).advice(ADVICE));
        read(typed.get_ref()).map_err(report).ok()
    };
    typed.into_iter().filter_map(pin).collect()
}

fn wrong(text: &str) -> &'static str {
    match text.starts_with(PUBLIC_KEY) {
        true => "this is the digest of a public key, and `pin_sha256` has digests of certificates",
        false => "this is no SHA-256 digest: it has 64 hex digits, or 44 characters of Base64",
    }
}

fn parse(text: &str) -> Option<Pin> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let begin = PREFIXES.iter().find(|prefix| lower.starts_with(**prefix)).map_or(0, |prefix| prefix.len());
    let digits = text.get(begin..)?.trim();
    hex(digits).or_else(|| base64(digits))
}

/// With colons or blanks between the bytes, or without.
fn hex(text: &str) -> Option<Pin> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16)?.try_into().ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

fn base64(text: &str) -> Option<Pin> {
    let bytes = Base64::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text)).ok()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_tools_print_it() {
        let pin: Pin = std::array::from_fn(|index| 0xE0 | index as u8);
        let hex: Vec<String> = pin.iter().map(|byte| format!("{byte:02X}")).collect();
        let (colons, plain, base64) = (hex.join(":"), hex.concat(), Base64::encode_string(&pin));
        for text in [
            plain.clone(),
            plain.to_lowercase(),
            format!("sha256 Fingerprint={colons}"),
            format!("SHA256 Fingerprint={colons}\n"),
            format!("sha256:{plain}"),
            hex.join(" "),
            base64.trim_end_matches('=').to_owned(),
            format!("sha256:{base64}"),
            colons,
        ] {
            assert_eq!(parse(&text), Some(pin), "{text}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_of_a_certificate_is_none() {
        let zeros = "0".repeat(63);
        for text in [
            "",
            "abc",
            &zeros,
            &format!("{zeros}g"),
            &format!("{zeros}000"),
            "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(wrong("sha256//AAA=").contains("public key"));
    }
}
