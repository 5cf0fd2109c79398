//! The text of a file as it may be shown: a line is drawn for whatever is wrong on it, and must not tell a password that stands there, by mistake or not.
//!
//! Covered byte by byte, so that all places in the text stay where they are.

/// Keys whose names end like this have secrets, in our tables and in those of plugins.
const SECRETS: [&str; 5] = ["password", "passphrase", "passwd", "secret", "token"];

pub fn covered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    users(text, &mut bytes);
    SECRETS.iter().for_each(|word| values(text, word, &mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What stands between `://` and the `@` of a string.
fn users(text: &str, bytes: &mut [u8]) {
    for (scheme, _) in text.match_indices("://") {
        let after = text.get(scheme + 3..).unwrap_or_default();
        let string = after.find(['"', '\'', '\n']).and_then(|end| after.get(..end)).unwrap_or(after);
        cover(bytes, scheme + 3, string.rfind('@').unwrap_or(0));
    }
}

/// Values of keys that end with this word.
fn values(text: &str, word: &str, bytes: &mut [u8]) {
    for (at, _) in text.to_ascii_lowercase().match_indices(word) {
        let end = at + word.len();
        let rest = text.get(end..).unwrap_or_default();
        if let Some((start, length)) = value(rest, begins_its_line(text, at)) {
            cover(bytes, end + start, length);
        }
    }
}

/// Where the value is behind a key, and how long. Of a file of mosquitto, lines have no `=`.
fn value(rest: &str, begins_line: bool) -> Option<(usize, usize)> {
    let behind_key = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    let blank = |c| c == ' ' || c == '\t';
    let behind_blanks = behind_key.trim_start_matches(blank);
    let typed = match behind_blanks.strip_prefix(['=', ':']) {
        Some(typed) => typed.trim_start_matches(blank),
        None if begins_line && behind_blanks.len() < behind_key.len() => behind_blanks,
        None => return None,
    };
    let opening = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| typed.starts_with(quotes));
    let (typed, ends): (&str, &[char]) = match opening {
        Some(quotes) => (typed.get(quotes.len()..)?, if quotes.starts_with('"') { &['"'] } else { &['\''] }),
        None => (typed, &['\n', ',', '}']),
    };
    let length = typed.find(ends).unwrap_or(typed.len());
    Some((rest.len() - typed.len(), length))
}

fn begins_its_line(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.trim_start().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn cover(bytes: &mut [u8], start: usize, length: usize) {
    let covered = bytes.get_mut(start..start + length).unwrap_or_default();
    covered.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_in_urls_are_covered() {
        let text = "x = { url = [\"mqtt://u:p/\u{e4}@h\", 'mqtts://b'], y = \"mqtt://me@c\", bogus = 1 } # a@b";
        let shown = "x = { url = [\"mqtt://******@h\", 'mqtts://b'], y = \"mqtt://**@c\", bogus = 1 } # a@b";
        assert_eq!(covered(text), shown);
    }

    #[test]
    fn values_of_keys_that_have_secrets_are_covered_however_they_are_written() {
        for (text, shown) in [
            ("password = \"ge#h\u{e4}im\" # x", "password = \"********\" # x"),
            ("a = { api_token = 'ge', b = 1 }", "a = { api_token = '**', b = 1 }"),
            ("password = geheim\nb = 1", "password = ******\nb = 1"),
            ("\"key passphrase\"=\"\"\"ge\nheim\"\"\"", "\"key passphrase\"=\"\"\"**\n****\"\"\""),
            ("PASSWORD: geheim", "PASSWORD: ******"),
            ("remote_password ge heim\n", "remote_password *******\n"),
            ("password = \"open", "password = \"****"),
        ] {
            assert_eq!(covered(text), shown);
        }
    }

    #[test]
    fn what_only_speaks_of_secrets_is_shown() {
        for text in [
            "password = \"\"\nx = \"y\"",
            "auth = \"password\"\nbind = 1",
            "password_file = \"p\"",
            "[access]\npasswords = \"u\"",
            "# the password is there",
            "x = 'token' # y",
        ] {
            assert_eq!(covered(text), text);
        }
    }
}
