//! What nobody uses is probably a binding that was forgotten: a warning.

use super::binding::{Names, Read};
use crate::config::checked::Target;
use crate::config::ids::{PluginId, UpstreamId};
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

pub fn check(root: &Table<'_>, names: &Names<'_>, bindings: &[Read]) {
    let in_chain = |index| bindings.iter().any(|read| read.binding.plugins.contains(&PluginId(index)));
    let goes_to = |read: &Read, target| read.binding.to.iter().any(|to| to.target == target);
    let comes_from = |read: &Read, id| read.binding.from == Some(id);
    let uses = |read: &Read, id| goes_to(read, Target::Upstream(id)) || comes_from(read, id);
    let in_to = |index| bindings.iter().any(|read| uses(read, UpstreamId(index)));
    warn(root, "plugin", &names.plugins, in_chain);
    warn(root, "upstream", &names.upstreams, in_to);
}

fn warn(root: &Table<'_>, what: &str, names: &[Placed<&str>], used: impl Fn(usize) -> bool) {
    for (_, name) in names.iter().enumerate().filter(|(index, _)| !used(*index)) {
        let sentence = format!("no binding uses the {what} `{}`", name.get_ref());
        root.add(Problem::warning(name.span(), sentence).advice("use it in `[[bindings]]`, or remove it"));
    }
}
