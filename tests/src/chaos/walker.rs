//! Where MQTT packets begin and end in a stream of bytes. Holds nothing back and never fails.

/// What a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The first of a packet of this kind.
    First(u8),
    Inside,
    /// The last of a packet of this kind.
    Last(u8),
}

#[derive(Default)]
pub struct Walker {
    kind: u8,
    place: Place,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    Between,
    /// Behind the first byte, with what is known of the remaining length.
    Length {
        value: usize,
        shift: u32,
    },
    Body {
        left: usize,
    },
}

// === impl Walker ===

impl Walker {
    pub fn step(&mut self, byte: u8) -> Mark {
        let (place, mark) = match self.place {
            Place::Between => {
                self.kind = byte >> 4;
                (Place::Length { value: 0, shift: 0 }, Mark::First(self.kind))
            }
            Place::Length { value, shift } => {
                let value = value | usize::from(byte & 0x7F) << shift;
                // Four bytes at most [MQTT-1.5.5-1]: in what is not MQTT, something has to be the end.
                if byte & 0x80 != 0 && shift < 21 {
                    (Place::Length { value, shift: shift + 7 }, Mark::Inside)
                } else {
                    self.after(value)
                }
            }
            Place::Body { left } => self.after(left - 1),
        };
        self.place = place;
        mark
    }

    fn after(&self, left: usize) -> (Place, Mark) {
        if left == 0 { (Place::Between, Mark::Last(self.kind)) } else { (Place::Body { left }, Mark::Inside) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{PINGREQ, PUBLISH, V5, publish};

    #[test]
    fn every_packet_has_one_first_and_one_last_byte() {
        let long = publish(V5, "t", "x".repeat(300)).encode();
        let bytes = [&[0xC0, 0], long.as_slice(), &[0xC0, 0]].concat();
        let mut walker = Walker::default();
        let marks: Vec<_> = bytes.iter().map(|byte| walker.step(*byte)).collect();
        assert_eq!(marks[..2], [Mark::First(PINGREQ), Mark::Last(PINGREQ)]);
        assert_eq!((marks[2], marks[1 + long.len()]), (Mark::First(PUBLISH), Mark::Last(PUBLISH)));
        assert!(marks[3..1 + long.len()].iter().all(|mark| *mark == Mark::Inside));
        assert_eq!(marks[2 + long.len()..], [Mark::First(PINGREQ), Mark::Last(PINGREQ)]);
    }

    #[test]
    fn what_is_not_mqtt_is_walked_all_the_same() {
        let mut walker = Walker::default();
        (0..=u8::MAX).chain([0xFF; 100]).for_each(|byte| _ = walker.step(byte));
    }
}
