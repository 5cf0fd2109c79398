//! The mask that a client puts over its payload (RFC 6455, section 5.3).

/// A step of the loop that the compiler turns into one of a vector.
const STEP: usize = 16;

/// A mask, turned to the place in the payload where it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Mask([u8; 4]);

// === impl Mask ===

impl Mask {
    pub fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Takes it from the next bytes of a payload, which may come in any pieces.
    pub fn lift(&mut self, bytes: &mut [u8]) {
        let turned = bytes.len() % self.0.len();
        let [a, b, c, d] = self.0;
        let key = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
        let (steps, rest) = bytes.as_chunks_mut::<STEP>();
        for step in steps {
            *step = (u128::from_ne_bytes(*step) ^ key).to_ne_bytes();
        }
        rest.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        self.0.rotate_left(turned);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_lifted_as_the_specification_says(
            key: [u8; 4],
            payload in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..200_usize,
        ) {
            // "octet i of the transformed data is the XOR of octet i of the original with octet i modulo 4 of the masking key"
            let expected: Vec<u8> = payload.iter().enumerate().map(|(i, octet)| octet ^ key[i % 4]).collect();
            let (mut lifted, mut mask) = (payload, Mask::new(key));
            let cut = cut.min(lifted.len());
            let (first, second) = lifted.split_at_mut(cut);
            mask.lift(first);
            mask.lift(second);
            prop_assert_eq!(lifted, expected);
        }
    }
}
