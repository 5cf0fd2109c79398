//! `grants` of a plugin: what it may use beyond what every plugin may.

use crate::config::checked::Grants;
use crate::config::problem::Problem;
use crate::config::raw::Table;
use crate::config::similar::similar;

const OFFERED: [&str; 2] = ["clock", "random"];

pub fn check(plugin: &Table<'_>) -> Grants {
    let mut grants = Grants::default();
    for word in plugin.words("grants") {
        match *word.get_ref() {
            "clock" => grants.clock = true,
            "random" => grants.random = true,
            other => {
                let sentence = format!("`{other}` is nothing that a plugin can be granted");
                plugin.add(Problem::error(word.span(), sentence).advice(advice(other)));
            }
        }
    }
    grants
}

fn advice(word: &str) -> String {
    match similar(word, OFFERED) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`clock` and `random` are offered; files, sockets and environment are not, to any plugin".to_owned(),
    }
}
