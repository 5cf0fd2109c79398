//! What mosquitto's documentation says of an ACL file, read line by line with nothing but texts; and what this gateway says of names.

#[derive(Clone, Debug)]
pub struct Who {
    pub user: Option<&'static str>,
    pub client: &'static str,
}

/// What is granted, where.
type Line = (String, String);

pub struct Model {
    own: Vec<Line>,
    /// None when nothing is given by them.
    patterns: Option<Vec<Line>>,
}

/// Where a topic of any of these tests can differ from another one, and one level that stands nowhere.
const LEVELS: [&str; 13] = ["a", "b", "u1", "u2", "c1", "xc1", "%u1", "%u2", "%$SYS", "x$SYS", "x", "$SYS", "other"];

impl Model {
    pub fn read(text: &str, who: &Who) -> Self {
        let (mut user, mut own, mut patterns): (Option<&str>, Vec<Line>, Vec<Line>) = (None, Vec::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let granted = |rest: &[&str]| if rest.len() == 2 { rest[0].to_owned() } else { "readwrite".to_owned() };
            match words[..] {
                ["user", name] => user = Some(name),
                ["topic", ref rest @ ..] if user == who.user => {
                    own.push((granted(rest), rest[rest.len() - 1].to_owned()))
                }
                ["pattern", ref rest @ ..] => {
                    let (grant, text) = (granted(rest), rest[rest.len() - 1]);
                    let filled = fill(text, who).filter(|filled| grant == "deny" || !is_odd(text, filled));
                    patterns.extend(filled.map(|filled| (grant, filled)));
                }
                _ => {}
            }
        }
        let is_wild = |name: &str| name.contains(['+', '#']);
        let is_dangerous = text.contains("pattern") && (is_wild(who.client) || who.user.is_some_and(is_wild));
        Self { own, patterns: (!is_dangerous).then_some(patterns) }
    }

    pub fn allows(&self, word: &str, topic: &str) -> bool {
        let own = ask(&self.own, word, topic);
        own.or_else(|| ask(self.patterns.as_ref()?, word, topic)).unwrap_or(false)
    }

    /// Some topic of the filter, of those that can make a difference.
    pub fn allows_some(&self, topics: &[String]) -> bool {
        topics.iter().any(|topic| self.allows("read", topic))
    }
}

fn ask(lines: &[Line], word: &str, topic: &str) -> Option<bool> {
    let some =
        |wanted: &[&str]| lines.iter().any(|(grant, filter)| wanted.contains(&&**grant) && matches(filter, topic));
    match some(&["deny"]) {
        true => Some(false),
        false => some(&[word, "readwrite"]).then_some(true),
    }
}

/// Nothing when there is no name for a place.
fn fill(text: &str, who: &Who) -> Option<String> {
    if text.contains("%u") && who.user.is_none() {
        return None;
    }
    // One place after the other would find places in names.
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let (piece, length) = match rest.get(..2) {
            Some("%u") => (who.user.unwrap_or("").to_owned(), 2),
            Some("%c") => (who.client.to_owned(), 2),
            _ => (first.to_string(), first.len_utf8()),
        };
        out.push_str(&piece);
        rest = &rest[length..];
    }
    Some(out)
}

/// Filled with a name that is several levels, or that begins the topics of the broker: such a line allows nothing here.
fn is_odd(text: &str, filled: &str) -> bool {
    let has_more_levels = text.matches('/').count() != filled.matches('/').count();
    has_more_levels || (filled.starts_with('$') && !text.starts_with('$'))
}

/// MQTT 5, section 4.7, by recursion.
fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            ([], []) | (["#"], _) => true,
            (["+", filter @ ..], [_, topic @ ..]) => levels(filter, topic),
            ([one, filter @ ..], [other, topic @ ..]) => one == other && levels(filter, topic),
            _ => false,
        }
    }
    let is_hidden = topic.starts_with('$') != filter.starts_with('$');
    !is_hidden && levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
}

/// The topics that a filter matches, of those levels; four of them at most, which is one more than any line of these tests has.
pub fn topics(filter: &str) -> Vec<String> {
    let two = LEVELS.iter().flat_map(|one| LEVELS.iter().map(move |other| format!("{one}/{other}")));
    let tails = ["", "/other", "/c1", "/u1", "/u2", "/$SYS", "/b", "/c", "/z", "/other/other", "/z/other"];
    let longer = two.flat_map(|two| tails.map(|tail| format!("{two}{tail}")));
    let plain = filter.replace(['+', '#'], "other");
    let more = [plain.clone(), plain.trim_end_matches("/other").to_owned(), format!("{plain}/other")];
    let all = LEVELS.iter().map(|level| (*level).to_owned()).chain(longer).chain(more);
    all.filter(|topic| matches(filter, topic)).collect()
}
