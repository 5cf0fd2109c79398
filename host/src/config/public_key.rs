//! Public keys of minisign, and the number by which a signature names its key.

use std::fmt;

/// A key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: minisign_verify::PublicKey,
    id: KeyId,
}

/// Chosen at random when a key pair is made. It finds the key and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u64);

/// Of a key or a signature in base64: two bytes of algorithm, then the number.
const ID_DIGITS: usize = 14;

// === impl PublicKey ===

impl PublicKey {
    /// From the second line of `minisign.pub`.
    pub fn parse(base64: &str) -> Option<Self> {
        let key = minisign_verify::PublicKey::from_base64(base64).ok()?;
        Some(Self { key, id: KeyId::of(base64)? })
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Only signatures of a digest: the older kind signs the bytes themselves, which minisign has not made since 0.10.
    pub fn verify(&self, bytes: &[u8], signature: &minisign_verify::Signature) -> Result<(), minisign_verify::Error> {
        self.key.verify(bytes, signature, false)
    }
}

// === impl KeyId ===

impl KeyId {
    /// `minisign-verify` compares it but does not show it, and a refusal has to name a key that nobody here has.
    pub fn of(base64: &str) -> Option<Self> {
        let digits = base64.as_bytes().get(..ID_DIGITS)?;
        let bits = digits.iter().try_fold(0u128, |bits, digit| Some(bits << 6 | u128::from(value(*digit)?)))?;
        // 84 bits: 16 of algorithm, 64 of number, 4 of what follows.
        let number = (bits >> 4) as u64;
        Some(Self(number.swap_bytes()))
    }
}

/// As minisign prints it: the bytes are a little-endian number.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_has_the_number_that_minisign_prints() {
        let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let key = PublicKey::parse(&pair.pk.to_base64()).unwrap();
        let bytes: [u8; 8] = pair.pk.keynum().try_into().unwrap();
        assert_eq!(key.id().to_string(), format!("{:016X}", u64::from_le_bytes(bytes)));
    }

    proptest! {
        #[test]
        fn no_text_is_a_key_by_accident(text in ".{0,80}") {
            prop_assert!(PublicKey::parse(&text).is_none());
            let _ = KeyId::of(&text);
        }
    }
}
