//! A file of another program or in another form, given as a configuration by mistake: what to do with it.

/// Keywords with which lines of a mosquitto.conf begin; behind one stands a value without `=`.
const MOSQUITTO: [&str; 10] = [
    "listener",
    "allow_anonymous",
    "password_file",
    "acl_file",
    "persistence",
    "persistence_location",
    "per_listener_settings",
    "log_dest",
    "connection",
    "include_dir",
];

/// What is said of its first line that is no TOML, instead of what is said of a slip.
pub fn advice(text: &str, file: &str) -> Option<String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines().any(is_of_mosquitto) {
        return Some(format!(
            "this is a mosquitto.conf: `tidegate import {file} -o gateway.toml` makes a configuration of it"
        ));
    }
    let first = lines().next()?;
    if first.starts_with('{') {
        return Some("this is JSON: write TOML, `tidegate demo --show-config` prints one to begin with".to_owned());
    }
    let is_yaml = first == "---" || (first.ends_with(':') && !first.contains('='));
    is_yaml.then(|| "this is YAML: write TOML, `tidegate demo --show-config` prints one to begin with".to_owned())
}

fn is_of_mosquitto(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_keyword = words.next().is_some_and(|word| MOSQUITTO.contains(&word));
    is_keyword && words.next().is_some_and(|value| !value.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_known_and_ours_with_a_slip_are_not() {
        let known = [
            ("\n# x\nlistener 1883\n", "import m.conf"),
            ("{\"a\": 1}", "JSON"),
            ("---\na: 1", "YAML"),
            ("gateway:\n  id: x", "YAML"),
        ];
        for (text, word) in known {
            assert!(advice(text, "m.conf").is_some_and(|advice| advice.contains(word)), "{text}");
        }
        for ours in ["listener = 1", "[gateway]\nid = x", "", "a = {"] {
            assert_eq!(advice(ours, "m.conf"), None, "{ours}");
        }
    }
}
