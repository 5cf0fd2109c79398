//! Words of a guest, made fit for a log line.

const ELLIPSIS: &str = "…";

/// At most `max` bytes and no control characters: a guest cannot forge a line of the log or move a terminal's cursor.
pub fn printable(text: &str, max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max));
    let mut cut = 0;
    for c in text.chars() {
        if c.is_control() || reorders(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
        if clean.len() > max {
            clean.truncate(cut);
            clean.push_str(ELLIPSIS);
            break;
        }
        if clean.len() + ELLIPSIS.len() <= max {
            cut = clean.len();
        }
    }
    clean
}

/// Line separators and the characters that reorder what a person sees: not control characters to Rust.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\nb\u{1b}[2J", 100), "a\\nb\\u{1b}[2J");
        assert_eq!(printable("\u{202e}x", 100), "\\u{202e}x");
    }

    #[test]
    fn what_fits_is_left_alone_and_what_does_not_is_cut_with_a_mark() {
        assert_eq!(printable("12345678", 8), "12345678");
        assert_eq!(printable("123456789", 8), "12345…");
        assert_eq!(printable("éééééé", 8), "éé…");
    }

    proptest! {
        #[test]
        fn no_text_is_too_long_or_dirty(text in any::<String>(), max in 3usize..64) {
            let clean = printable(&text, max);
            prop_assert!(clean.len() <= max);
            prop_assert!(!clean.chars().any(char::is_control));
        }
    }
}
