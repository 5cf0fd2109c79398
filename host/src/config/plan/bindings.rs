//! Bindings and plugins: which messages go where, and through what. They change together or not at all: a topic that moves from one binding to
//! another must be in one of them, and not in both.

use super::Plan;
use crate::config::checked::{Binding, Config, Destination, Plugin, Target};
use crate::config::ids::UpstreamId;

/// How a binding is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingChange {
    Same,
    Added,
    /// Messages go through the same plugins in the same way, and then elsewhere, or others do.
    Route,
    /// Its plugins are others, or have changed, or are called in another way.
    Chain,
}

/// All of them are done, or none.
struct Steps<'a> {
    plan: &'a mut Plan,
    is_free: bool,
}

pub fn compare(running: &Config, wanted: &Config, plan: &mut Plan) {
    let obstacles = obstacles(running, wanted);
    let mut steps = Steps { plan, is_free: obstacles.is_empty() };
    plugins(running, wanted, &mut steps);
    bindings(running, wanted, &mut steps);
    obstacles.into_iter().for_each(|(what, why)| plan.restart(what, why));
}

fn plugins(running: &Config, wanted: &Config, steps: &mut Steps<'_>) {
    for plugin in running.plugins.iter().filter(|one| named(&wanted.plugins, &one.name).is_none()) {
        steps.add(format!("plugin {}", plugin.name), "taken away");
    }
    for plugin in &wanted.plugins {
        let what = format!("plugin {}", plugin.name);
        match named(&running.plugins, &plugin.name) {
            None => steps.add(what, "added"),
            Some(before) if before == plugin => steps.plan.unchanged(what),
            Some(_) => steps.add(what, "changed: what it remembers stays"),
        }
    }
}

fn bindings(running: &Config, wanted: &Config, steps: &mut Steps<'_>) {
    for gone in running.bindings.iter().filter(|one| find(wanted, &one.name).is_none()) {
        steps.add(format!("binding {}", gone.name), "taken away: what it has begun is finished");
    }
    for binding in &wanted.bindings {
        let what = format!("binding {}", binding.name);
        match change_of_binding(running, wanted, binding) {
            BindingChange::Same => steps.plan.unchanged(what),
            BindingChange::Added => steps.add(what, "added"),
            BindingChange::Route => steps.add(what, "changed for messages from now on"),
            BindingChange::Chain => {
                steps.add(what, "its plugins are started anew, and take over behind what the others have begun")
            }
        }
    }
    if is_reordered(running, wanted) {
        steps.add("binding order".to_owned(), "they stand in another order, which is that of their outputs");
    }
}

/// Plugins and bindings of what runs then. Upstreams have the numbers that they have in the gateway that runs.
pub fn taken_over(running: &Config, wanted: &Config) -> (Vec<Plugin>, Vec<Binding>) {
    let bindings: Option<Vec<_>> = wanted.bindings.iter().map(|binding| renumbered(binding, running, wanted)).collect();
    match bindings.filter(|_| obstacles(running, wanted).is_empty()) {
        Some(bindings) => (wanted.plugins.clone(), bindings),
        None => (running.plugins.clone(), running.bindings.clone()),
    }
}

pub fn change_of_binding(running: &Config, wanted: &Config, binding: &Binding) -> BindingChange {
    let Some(before) = find(running, &binding.name) else { return BindingChange::Added };
    if chain(before, running) != chain(binding, wanted) {
        return BindingChange::Chain;
    }
    match route(before, running) == route(binding, wanted) {
        true => BindingChange::Same,
        false => BindingChange::Route,
    }
}

/// What keeps plugins and bindings as they are until a restart.
fn obstacles(running: &Config, wanted: &Config) -> Vec<(String, String)> {
    let plugin = |plugin: &Plugin| {
        let before = &named(&running.plugins, &plugin.name)?.limits;
        let is_same = (before.state, before.state_per_second) == (plugin.limits.state, plugin.limits.state_per_second);
        let why = "`limits.state` and `state_per_second` of a plugin are given out at the start";
        (!is_same).then(|| (format!("plugin {} limits", plugin.name), why.to_owned()))
    };
    let binding = |binding: &Binding| {
        if renumbered_source(binding, running, wanted).is_none() {
            let name = source(binding, wanted).unwrap_or_default();
            let why = format!("its upstream `{name}` is connected to after a restart");
            return Some((format!("binding {} from", binding.name), why));
        }
        let missing = binding.to.iter().find(|to| renumbered_target(to, running, wanted).is_none())?;
        let name = target(missing.target, wanted).unwrap_or_default();
        Some((
            format!("binding {} to", binding.name),
            format!("its upstream `{name}` has a line of the spool after a restart"),
        ))
    };
    wanted.plugins.iter().filter_map(plugin).chain(wanted.bindings.iter().filter_map(binding)).collect()
}

/// What code its messages go through, and how. Nothing of it counts without plugins.
fn chain(binding: &Binding, config: &Config) -> impl PartialEq + use<> {
    let plugins: Vec<_> = binding.plugins.iter().map(|id| id.of(&config.plugins).cloned()).collect();
    let Binding { tick, faults, on_start_failure, .. } = binding.clone();
    let how = (tick, faults, on_start_failure);
    (!plugins.is_empty()).then_some((plugins, how))
}

fn route(binding: &Binding, config: &Config) -> impl PartialEq + use<> {
    let to = |to: &Destination| (target(to.target, config), to.topic.clone(), to.qos, to.retain);
    let to: Vec<_> = binding.to.iter().map(to).collect();
    (source(binding, config), binding.filters.clone(), binding.on_error.clone(), binding.order, to)
}

/// None: devices, and this gateway.
fn source(binding: &Binding, config: &Config) -> Option<String> {
    binding.from.and_then(|id| id.of(&config.upstreams)).map(|upstream| upstream.name.clone())
}

/// None: local.
fn target(target: Target, config: &Config) -> Option<String> {
    let Target::Upstream(id) = target else { return None };
    id.of(&config.upstreams).map(|upstream| upstream.name.clone())
}

fn renumbered(binding: &Binding, running: &Config, wanted: &Config) -> Option<Binding> {
    let to = binding.to.iter().map(|to| renumbered_target(to, running, wanted)).collect::<Option<_>>()?;
    Some(Binding { from: renumbered_source(binding, running, wanted)?, to, ..binding.clone() })
}

/// `None` when the gateway that runs does not know it.
fn renumbered_source(binding: &Binding, running: &Config, wanted: &Config) -> Option<Option<UpstreamId>> {
    source(binding, wanted).map(|name| place(&name, running)).map_or(Some(None), |place| Some(Some(place?)))
}

fn place(upstream: &str, config: &Config) -> Option<UpstreamId> {
    config.upstreams.iter().position(|known| known.name == upstream).map(UpstreamId)
}

fn renumbered_target(to: &Destination, running: &Config, wanted: &Config) -> Option<Destination> {
    let Some(name) = target(to.target, wanted) else { return Some(to.clone()) };
    Some(Destination { target: Target::Upstream(place(&name, running)?), ..to.clone() })
}

fn is_reordered(running: &Config, wanted: &Config) -> bool {
    let common = |of: &Config, other: &Config| -> Vec<String> {
        let names = of.bindings.iter().filter(|one| find(other, &one.name).is_some());
        names.map(|one| one.name.to_string()).collect()
    };
    common(running, wanted) != common(wanted, running)
}

fn find<'a>(config: &'a Config, name: &str) -> Option<&'a Binding> {
    config.bindings.iter().find(|binding| *binding.name == *name)
}

fn named<'a>(plugins: &'a [Plugin], name: &str) -> Option<&'a Plugin> {
    plugins.iter().find(|plugin| plugin.name == name)
}

// === impl Steps ===

impl Steps<'_> {
    fn add(&mut self, what: String, how: &str) {
        match self.is_free {
            true => self.plan.now(what, how),
            false => self.plan.restart(what, format!("{how}; plugins and bindings change together")),
        }
    }
}
