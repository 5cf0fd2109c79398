//! Did you mean …?

/// What a person most likely meant by a word that is not known.
pub fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    // A third of the letters may differ: `upstrem` is a slip, `cat` for `car_park` is not.
    let reach = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// An advice about an unknown word: the nearest known one, or all of them when none is near.
pub fn did_you_mean(word: &str, known: &[&str], nothing_known: &str) -> String {
    if let Some(near) = similar(word, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    match known {
        [] => nothing_known.to_owned(),
        known => {
            let words: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("known here: {}", words.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["component", "config", "limits"];
        for (word, meant) in [("compnent", Some("component")), ("Limits", Some("limits")), ("wasm", None)] {
            assert_eq!(similar(word, known), meant, "{word}");
        }
    }
}
