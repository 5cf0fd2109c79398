//! What of a certificate has to be found also where others cannot read it: whose it is, in order to tell that it is bad; and its key.
//!
//! This looks, and decides nothing: whether something is good is for rustls to say. So it takes what it finds, of any version of X.509, and has no
//! opinion about what it does not look at. What is in a certificate that is good is read by a library ([`super::certificate`]), which is strict.
//!
//! Two readers are not one too many. A name that becomes a user's (`super::identity`) must come from one that knows all kinds of strings and refuses what
//! is doubtful. The same one would refuse, and so could not name, what has a serial number of 21 bytes, a time before 1950 or a version that nobody
//! knows: the certificates that somebody has to be told of, and the pinned ones, whose key is all that counts.

use crate::base::excerpt::Excerpt;

/// A certificate of any version.
pub struct Certificate<'a> {
    /// In DER, like `public_key`.
    pub subject: &'a [u8],
    /// The SubjectPublicKeyInfo.
    pub public_key: &'a [u8],
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
    fields.next_if(VERSION);
    fields.of(INTEGER)?;
    fields.of(SEQUENCE)?;
    fields.of(SEQUENCE)?;
    fields.of(SEQUENCE)?;
    let subject = fields.next_if(SEQUENCE)?.whole;
    let public_key = fields.next_if(SEQUENCE)?.whole;
    Some(Certificate { subject, public_key })
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

    #[test]
    fn nothing_that_is_cut_off_is_read_beyond_its_end() {
        let whole = include_bytes!("../egress/testdata/v1-client.pem");
        let der = crate::tls::pem::sections(whole).remove(0).content.unwrap();
        assert!(certificate(&der).is_some(), "version 1, too");
        for end in 0..der.len() {
            // Some of its beginnings have all that is looked for; none is more than there is.
            let _ = certificate(&der[..end]).map(|certificate| name(certificate.subject));
        }
        assert!(Reader(b"\x30\x84\xff\xff\xff\xff").next().is_none());
    }
}
