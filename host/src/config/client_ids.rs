//! Which client identifiers a user may have: `client_id = "{user}-*"`.
//!
//! `{user}` stands for the name that was proved, letter by letter: what a name has of `*`, `+`, `#` or `/` means itself. `*` stands for any
//! characters, or none. Everything else stands for itself.

use std::fmt;

const USER: &str = "{user}";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIds {
    typed: String,
    /// What stands between the `*`s.
    pieces: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdsError {
    #[error("it is empty, and a client identifier never is")]
    Empty,
    #[error("`{{` and `}}` stand around `user` only")]
    Brace,
}

// === impl ClientIds ===

impl ClientIds {
    pub fn parse(typed: &str) -> Result<Self, ClientIdsError> {
        if typed.is_empty() {
            return Err(ClientIdsError::Empty);
        }
        if typed.replace(USER, "").contains(['{', '}']) {
            return Err(ClientIdsError::Brace);
        }
        Ok(Self { typed: typed.to_owned(), pieces: typed.split('*').map(str::to_owned).collect() })
    }

    /// Whether it depends on who asks.
    pub fn names_user(&self) -> bool {
        self.typed.contains(USER)
    }

    /// A user is needed where it is named: without one, nothing is allowed.
    pub fn allow(&self, user: Option<&str>, client_id: &str) -> bool {
        let Some(pieces) = self.filled(user) else { return false };
        let Some((first, rest)) = pieces.split_first() else { return false };
        let Some((last, middle)) = rest.split_last() else { return client_id == first };
        let Some(mut left) = client_id.strip_prefix(first.as_str()).and_then(|left| left.strip_suffix(last.as_str()))
        else {
            return false;
        };
        for piece in middle {
            let Some((_, behind)) = left.split_once(piece.as_str()) else { return false };
            left = behind;
        }
        true
    }

    /// One for a client that has none: `unique` in the place of the first `*`. Where there is no `*`, it is not allowed, because the one
    /// that is could not be told from another connection of the same user.
    pub fn assign(&self, user: Option<&str>, unique: String) -> String {
        match self.filled(user).as_deref() {
            Some([first, rest @ ..]) if !rest.is_empty() => format!("{first}{unique}{}", rest.concat()),
            _ => unique,
        }
    }

    fn filled(&self, user: Option<&str>) -> Option<Vec<String>> {
        if self.names_user() && user.is_none_or(str::is_empty) {
            return None;
        }
        let user = user.unwrap_or_default();
        Some(self.pieces.iter().map(|piece| piece.replace(USER, user)).collect())
    }
}

/// As it was typed.
impl fmt::Display for ClientIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, user: &str, client_id: &str) -> bool {
        ClientIds::parse(pattern).unwrap().allow(Some(user), client_id)
    }

    #[test]
    fn a_user_has_the_identifiers_of_its_name() {
        for (pattern, client_id, expected) in [
            ("{user}", "ann", true),
            ("{user}", "anna", false),
            ("{user}", "Ann", false),
            ("{user}-*", "ann-1", true),
            ("{user}-*", "ann-", true),
            ("{user}-*", "ann", false),
            ("{user}-*", "x-ann-1", false),
            ("{user}-*", "bob-1", false),
            ("*-{user}", "cell-7-ann", true),
            ("p/{user}/*/{user}", "p/ann/7/ann", true),
            ("p/{user}/*/{user}", "p/ann/ann", false),
            ("*{user}*", "xxannxx", true),
            ("*{user}*{user}*", "ann", false),
            ("*{user}*{user}*", "annann", true),
            ("*", "anything/at all", true),
            ("plant-*", "plant-1", true),
        ] {
            assert_eq!(allows(pattern, "ann", client_id), expected, "{pattern} {client_id}");
        }
    }

    #[test]
    fn a_name_cannot_widen_its_pattern() {
        for user in ["*", "+", "#", "a*", "+/#", "{user}", "*-*", "\0", "a/b", "..", "-"] {
            assert!(allows("{user}-*", user, &format!("{user}-1")));
            for other in ["ann-1", "a-1", "ab-1", "x", "", "user-1"] {
                assert!(!allows("{user}-*", user, other), "{user:?} {other:?}");
            }
        }
        assert!(!allows("{user}-*", "", "-1"), "nobody has an empty name");
    }

    #[test]
    fn it_agrees_with_a_matcher_that_tries_everything() {
        fn matches(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
                Some((letter, rest)) => text.first() == Some(letter) && matches(rest, &text[1..]),
            }
        }
        let words = |letters: &'static [u8], longest: u32| {
            (1..=longest).flat_map(move |length| {
                let count = letters.len().pow(length);
                (0..count).map(move |mut number| {
                    (0..length)
                        .map(|_| {
                            let letter = letters[number % letters.len()];
                            number /= letters.len();
                            char::from(letter)
                        })
                        .collect::<String>()
                })
            })
        };
        for pattern in words(b"ab*", 5) {
            let ids = ClientIds::parse(&pattern).unwrap();
            for text in words(b"ab", 6) {
                let expected = matches(pattern.as_bytes(), text.as_bytes());
                assert_eq!(ids.allow(None, &text), expected, "{pattern} {text}");
            }
        }
    }

    #[test]
    fn a_client_without_an_identifier_gets_one_that_it_may_have() {
        for (pattern, expected) in [("{user}-*", "ann-7"), ("*", "7"), ("a*b*c", "a7bc"), ("{user}", "7")] {
            assert_eq!(ClientIds::parse(pattern).unwrap().assign(Some("ann"), "7".into()), expected);
        }
        assert!(!allows("{user}", "ann", "7"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!(ClientIds::parse(""), Err(ClientIdsError::Empty));
        for typed in ["{client}", "{user", "user}", "{{user}}", "{}"] {
            assert_eq!(ClientIds::parse(typed), Err(ClientIdsError::Brace), "{typed}");
        }
    }
}
