//! From names of keys to a place in the text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The place of a value, as far as the keys lead: of a table that of its name, of a table in a list the one with this `name`.
pub fn find<S: AsRef<str>>(text: &str, keys: &[S]) -> Option<Range<usize>> {
    let (document, _) = DeTable::parse_recoverable(text);
    let (mut found, mut here) = (None, Inside::Table(document.get_ref()));
    for key in keys {
        let Some((place, value)) = here.step(key.as_ref()) else { break };
        found = Some(place);
        match value {
            DeValue::Table(table) => here = Inside::Table(table),
            DeValue::Array(list) => here = Inside::List(list),
            _ => break,
        }
    }
    found
}

#[derive(Clone, Copy)]
enum Inside<'a> {
    Table(&'a DeTable<'a>),
    List(&'a [Spanned<DeValue<'a>>]),
}

// === impl Inside ===

impl<'a> Inside<'a> {
    fn step(self, key: &str) -> Option<(Range<usize>, &'a DeValue<'a>)> {
        match self {
            Self::Table(table) => {
                let (name, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
                let place = if value.get_ref().is_table() { name.span() } else { value.span() };
                Some((place, value.get_ref()))
            }
            Self::List(list) => {
                let name = |item: &'a Spanned<DeValue<'a>>| item.get_ref().as_table()?.get("name")?.get_ref().as_str();
                let item = list.iter().find(|item| name(item) == Some(key))?;
                Some((item.span(), item.get_ref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_values_tables_and_items_of_lists_as_far_as_they_can() {
        let text = "[a.b]\nc = \"d\"\n[[l]]\nname = \"x\"\n[[l]]\nname = \"y\"\nk = 5\n";
        let at = |keys: &[&str]| find(text, keys).map(|place| &text[place]);
        assert_eq!(at(&["a", "b", "c"]), Some("\"d\""));
        assert_eq!(at(&["a", "b", "none"]), Some("b"));
        assert_eq!(at(&["l", "y", "k"]), Some("5"));
        assert_eq!(at(&["none"]), None);
    }
}
