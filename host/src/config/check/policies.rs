//! `on_error_of` of a binding: what becomes of a message that one of its plugins fails, where that is not its `on_error`.

use super::binding::Names;
use crate::config::checked::OnFailure;
use crate::config::ids::PluginId;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};
use crate::config::similar::did_you_mean;

const CHOICES: [&str; 3] = ["dead-letter", "drop", "pass"];

/// One for each plugin of the binding, in order.
pub fn check(table: &Table<'_>, names: &Names<'_>, plugins: &[PluginId], otherwise: OnFailure) -> Vec<OnFailure> {
    let mut policies = vec![otherwise; plugins.len()];
    for (name, choice) in table.named_texts("on_error_of") {
        let (Some(known), Some(choice)) = (is_known(table, &name, names, plugins), read(table, "on_error_of", &choice))
        else {
            continue;
        };
        let of_plugin = plugins.iter().zip(&mut policies).filter(|(plugin, _)| **plugin == known);
        of_plugin.for_each(|(_, policy)| *policy = choice);
    }
    policies
}

fn is_known(table: &Table<'_>, name: &Placed<&str>, names: &Names<'_>, plugins: &[PluginId]) -> Option<PluginId> {
    let of_binding: Vec<_> = plugins.iter().filter_map(|id| Some((*id, *id.of(&names.plugins)?.get_ref()))).collect();
    let found = of_binding.iter().find(|(_, known)| known == name.get_ref()).map(|(id, _)| *id);
    if found.is_none() {
        let known: Vec<_> = of_binding.iter().map(|(_, known)| *known).collect();
        let sentence = format!("`on_error_of`: this binding has no plugin `{}`", name.get_ref());
        let advice = did_you_mean(name.get_ref(), &known, "it has no `plugins`");
        table.add(Problem::error(name.span(), sentence).advice(advice));
    }
    found
}

/// The three words, wherever they are allowed.
pub fn read(table: &Table<'_>, key: &str, choice: &Placed<&str>) -> Option<OnFailure> {
    match *choice.get_ref() {
        "dead-letter" => Some(OnFailure::DeadLetter),
        "drop" => Some(OnFailure::Drop),
        "pass" => Some(OnFailure::Pass),
        other => {
            let sentence = format!("`{key}` cannot be \"{other}\"");
            table.add(Problem::error(choice.span(), sentence).advice(did_you_mean(other, &CHOICES, "")));
            None
        }
    }
}
