//! Private keys of elliptic curves without their public part, as Java and some hardware tools export them. `publicKey` is optional (RFC 5915),
//! ring refuses a key without it, and `openssl pkey` writes the key as it found it. The certificate has the public part, and ring checks that
//! the two belong together.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::der::{self, Reader};

/// ECPrivateKey, version 1.
const VERSION: [u8; 3] = [der::INTEGER, 1, 1];
/// OneAsymmetricKey, version 0.
const PKCS8: [u8; 3] = [der::INTEGER, 1, 0];
/// `publicKey [1]`.
const PUBLIC_KEY: u8 = 0xA1;

/// As PKCS#8, with the SubjectPublicKeyInfo of its certificate. `None` for a key that is of another kind, or has all of its parts.
pub fn completed(key: &PrivateKeyDer<'_>, public: &[u8]) -> Option<PrivateKeyDer<'static>> {
    let sec1 = match key {
        PrivateKeyDer::Sec1(key) => key.secret_sec1_der(),
        PrivateKeyDer::Pkcs8(key) => {
            let mut fields = Reader::new(key.secret_pkcs8_der()).inside(der::SEQUENCE)?;
            fields.of(der::INTEGER)?;
            fields.of(der::SEQUENCE)?;
            fields.of(der::OCTET_STRING)?
        }
        _ => return None,
    };
    let mut fields = Reader::new(sec1).inside(der::SEQUENCE)?;
    fields.next().filter(|version| version.whole == VERSION)?;
    let secret = fields.next_if(der::OCTET_STRING)?.whole;
    if fields.any(|field| field.tag == PUBLIC_KEY) {
        return None;
    }
    let mut public = Reader::new(public).inside(der::SEQUENCE)?;
    let algorithm = public.next_if(der::SEQUENCE)?.whole;
    let point = public.next_if(der::BIT_STRING)?.whole;
    let point = der::wrap(PUBLIC_KEY, &[point])?;
    let sec1 = der::wrap(der::SEQUENCE, &[&VERSION, secret, &point])?;
    let sec1 = der::wrap(der::OCTET_STRING, &[&sec1])?;
    let key = der::wrap(der::SEQUENCE, &[&PKCS8, algorithm, &sec1])?;
    Some(PrivatePkcs8KeyDer::from(key).into())
}
