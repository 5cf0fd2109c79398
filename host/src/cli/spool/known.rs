//! Names on the command line: one that nobody knows is a slip, and not "nothing waits".

use anyhow::bail;

use super::place::Place;
use crate::config::did_you_mean;
use crate::dead_letter::Filter;
use crate::spool::View;

/// An upstream of the configuration, or one that messages waited for at some time.
pub fn upstream(name: &str, place: &Place, view: &View) -> anyhow::Result<()> {
    let mut known = view.upstreams();
    known.extend(place.names.upstreams.iter().cloned());
    known.sort_unstable();
    known.dedup();
    check("upstream", name, &known)
}

/// Of a filter that found no dead letter: what it names is in the configuration, as far as that is known.
pub fn filter(filter: &Filter, place: &Place) -> anyhow::Result<()> {
    let names = &place.names;
    for (what, wanted, known) in
        [("binding", &filter.binding, &names.bindings), ("plugin", &filter.plugin, &names.plugins)]
    {
        if let Some(name) = wanted.as_ref().filter(|_| place.has_config) {
            check(what, name, known)?;
        }
    }
    Ok(())
}

fn check(what: &str, name: &str, known: &[String]) -> anyhow::Result<()> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    bail!("there is no {what} `{name}`: {}", did_you_mean(name, &known, "none is known here"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_an_error_with_what_was_meant() {
        let known = ["cloud".to_owned(), "plant".to_owned()];
        assert!(check("upstream", "cloud", &known).is_ok());
        let error = check("upstream", "clod", &known).unwrap_err().to_string();
        assert_eq!(error, "there is no upstream `clod`: did you mean `cloud`?");
        assert!(check("upstream", "x", &[]).unwrap_err().to_string().ends_with("none is known here"));
    }
}
