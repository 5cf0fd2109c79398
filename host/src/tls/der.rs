//! The few fields of a certificate and of a revocation list (RFC 5280) that people are told of, or that rustls does not give away.
//!
//! This looks, and decides nothing: whether something is good is for rustls to say. So it takes what it finds, of any version, and has no
//! opinion about what it does not look at. A library for X.509 was not taken: each is strict about fields that are not needed here, and what is
//! read here most is what others cannot read.

use crate::base::excerpt::Excerpt;

/// A certificate of any version.
pub struct Certificate<'a> {
    /// 1 to 3.
    pub version: u8,
    /// In DER, like `public_key`.
    pub subject: &'a [u8],
    /// Seconds since the Unix epoch.
    pub not_after: Option<u64>,
    /// The SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
}

/// A certificate revocation list of any version.
pub struct RevocationList<'a> {
    /// 1 or 2.
    pub version: u8,
    pub issuer: &'a [u8],
    pub next_update: Option<u64>,
}

/// One value: its tag, its content, and all of its bytes.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub tag: u8,
    content: &'a [u8],
    pub whole: &'a [u8],
}

/// What is not read yet.
pub(super) struct Reader<'a>(&'a [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1E;
pub(super) const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;

/// The attributes of a name that people give (RFC 4519), by their object identifier.
const ATTRIBUTES: [(&[u8], &str); 5] = [
    (b"\x55\x04\x03", "CN"),
    (b"\x55\x04\x0b", "OU"),
    (b"\x55\x04\x0a", "O"),
    (b"\x55\x04\x07", "L"),
    (b"\x55\x04\x06", "C"),
];
/// More than a name has.
const MOST_ATTRIBUTES: usize = 16;

pub fn certificate(der: &[u8]) -> Option<Certificate<'_>> {
    let mut fields = Reader(Reader(der).of(SEQUENCE)?).inside(SEQUENCE)?;
    let version = fields.next_if(VERSION).and_then(|value| Reader(value.content).of(INTEGER)?.last().copied());
    fields.of(INTEGER)?;
    fields.of(SEQUENCE)?;
    fields.of(SEQUENCE)?;
    let mut validity = fields.inside(SEQUENCE)?;
    validity.next()?;
    let not_after = validity.next().and_then(time);
    let subject = fields.next_if(SEQUENCE)?.whole;
    let public_key = fields.next_if(SEQUENCE)?.whole;
    Some(Certificate { version: version.unwrap_or(0).saturating_add(1), subject, not_after, public_key })
}

pub fn revocation_list(der: &[u8]) -> Option<RevocationList<'_>> {
    let mut fields = Reader(Reader(der).of(SEQUENCE)?).inside(SEQUENCE)?;
    let version = fields.next_if(INTEGER).and_then(|value| value.content.last().copied());
    fields.of(SEQUENCE)?;
    let issuer = fields.next_if(SEQUENCE)?.whole;
    fields.next().and_then(time)?;
    let next_update = fields.next().and_then(time);
    Some(RevocationList { version: version.unwrap_or(0).saturating_add(1), issuer, next_update })
}

/// The first value of several.
pub fn first(bytes: &[u8]) -> Option<&[u8]> {
    Reader(bytes).next().map(|value| value.whole)
}

/// A value made of others. `None` for more than 255 bytes, which no key of a curve has.
pub(super) fn wrap(tag: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).ok()?;
    let header: &[u8] = if length < 0x80 { &[tag, length] } else { &[tag, 0x81, length] };
    Some([header, &content[..]].concat())
}

/// `CN=Plant CA, O=Works`; what has no name here is left out.
pub fn name(name: &[u8]) -> String {
    let sets = Reader(name).inside(SEQUENCE);
    let attribute = |set: Value<'_>| {
        let mut pair = Reader(set.content).inside(SEQUENCE)?;
        let identifier = pair.of(OBJECT_IDENTIFIER)?;
        let (_, short) = ATTRIBUTES.iter().find(|(known, _)| *known == identifier)?;
        let value = pair.next()?;
        Some(format!("{short}={}", text(value)))
    };
    let attributes: Vec<_> = sets.into_iter().flatten().take(MOST_ATTRIBUTES).filter_map(attribute).collect();
    match attributes.is_empty() {
        true => "a subject without a name".into(),
        false => Excerpt(&attributes.join(", ")).to_string(),
    }
}

/// In one of the kinds of string that a name may have; all but one are ASCII or UTF-8, or near enough to be recognised.
fn text(value: Value<'_>) -> String {
    if value.tag != BMP_STRING {
        return String::from_utf8_lossy(value.content).into_owned();
    }
    let units = value.content.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// UTCTime has two digits of the year, up to 2049; both end with `Z` (RFC 5280, 4.1.2.5). What is before 1970 is 1970.
fn time(value: Value<'_>) -> Option<u64> {
    let text = str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match value.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days(year, part(0)?, part(2)?);
    let seconds = days * 86_400 + part(4)? * 3_600 + part(6)? * 60 + part(8)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Since 1970-01-01. As in `base::utc`, a year is counted from March on.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn next_if(&mut self, tag: u8) -> Option<Value<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }

    /// The content of the next value, which must be of this kind.
    pub fn of(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_if(tag).map(|value| value.content)
    }

    pub fn inside(&mut self, tag: u8) -> Option<Self> {
        self.of(tag).map(Reader)
    }
}

/// Tags of one byte and lengths of up to four: certificates have no others.
impl<'a> Iterator for Reader<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (&tag, &first) = (self.0.first()?, self.0.get(1)?);
        let more = usize::from(first & 0x7F);
        let (length, begin) = match (first & 0x80, more) {
            (0, _) => (more, 2),
            (_, 1..=4) => {
                let bytes = self.0.get(2..2 + more)?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + more)
            }
            _ => return None,
        };
        let content = self.0.get(begin..)?.get(..length)?;
        let (whole, rest) = self.0.split_at_checked(begin + length)?;
        self.0 = rest;
        Some(Value { tag, content, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tag: u8, text: &str) -> Option<u64> {
        time(Value { tag, content: text.as_bytes(), whole: &[] })
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (tag, text, seconds) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000228235959Z", Some(951_782_399)),
            (UTC_TIME, "000301000000Z", Some(951_868_800)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "\u{e9}", None),
        ] {
            assert_eq!(at(tag, text), seconds, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_cut_off_is_read_beyond_its_end() {
        let whole = include_bytes!("../egress/testdata/v1-client.pem");
        let der = crate::tls::pem::sections(whole).remove(0).content.unwrap();
        assert_eq!(certificate(&der).map(|certificate| certificate.version), Some(1));
        for end in 0..der.len() {
            // Some of its beginnings have all that is looked for; none is more than there is.
            let _ = certificate(&der[..end]).map(|certificate| name(certificate.subject));
            let _ = revocation_list(&der[..end]);
        }
        assert!(Reader(b"\x30\x84\xff\xff\xff\xff").next().is_none());
    }
}
