//! What a component multiplies to: its parts, counted as often as they are instantiated.
//!
//! A component may instantiate what it contains as often as it likes, and what that contains again: twenty levels of two are a million
//! instances in three kilobytes. The engine lays all of them out, when it compiles and at each start, in memory that no limit of the
//! instance counts. So each module and each component has a price here, that of a component is the sum over what it instantiates, and
//! that of the outermost one is what is charged. One pass, no recursion; what cannot be known of a name (an import, an export of an
//! instance) costs as much as the dearest part seen so far.

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, Instance,
    Payload,
};

/// Per instance of one module or component; of the outermost one, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Core instances.
    pub instances: usize,
    pub functions: usize,
    pub memories: usize,
    pub tables: usize,
    /// Globals, types, imports, aliases and the like.
    pub definitions: usize,
}

/// The levels that are open, outermost first.
#[derive(Debug, Default)]
pub struct Walk {
    open: Vec<Level>,
    /// No part costs more.
    dearest: Expansion,
    whole: Expansion,
}

#[derive(Debug, Default)]
struct Level {
    is_module: bool,
    own: Expansion,
    /// What its indices name.
    modules: Vec<Expansion>,
    components: Vec<Expansion>,
}

// === impl Walk ===

impl Walk {
    /// The next one, in their order in the file. `definitions` is how many it has.
    pub fn step(&mut self, payload: &Payload<'_>, definitions: usize) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_module = *encoding == wasmparser::Encoding::Module;
                self.open.push(Level { is_module, ..Level::default() });
            }
            Payload::End(_) => self.close(),
            payload => {
                let Self { open, dearest, .. } = self;
                if let Some((level, outer)) = open.split_last_mut() {
                    level.own.definitions = level.own.definitions.saturating_add(definitions);
                    level.read(payload, outer, *dearest)?;
                }
            }
        }
        Ok(())
    }

    /// What the outermost one comes to, as far as it has been read.
    pub fn total(&self) -> Expansion {
        self.open.first().map_or(self.whole, |level| level.own)
    }

    fn close(&mut self) {
        let Some(level) = self.open.pop() else { return };
        self.dearest = self.dearest.or_more(level.own);
        match self.open.last_mut() {
            Some(outer) if level.is_module => outer.modules.push(level.own),
            Some(outer) => outer.components.push(level.own),
            None => self.whole = level.own,
        }
    }
}

// === impl Level ===

impl Level {
    fn read(&mut self, payload: &Payload<'_>, outer: &[Self], dearest: Expansion) -> wasmparser::Result<()> {
        match payload {
            Payload::FunctionSection(section) => self.own.functions += section.count() as usize,
            Payload::MemorySection(section) => self.own.memories += section.count() as usize,
            Payload::TableSection(section) => self.own.tables += section.count() as usize,
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        let module = named(&self.modules, module_index, dearest);
                        self.own.add(Expansion { instances: module.instances.saturating_add(1), ..module });
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.own.add(named(&self.components, component_index, dearest));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias?, outer, dearest);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    match import?.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(dearest),
                        ComponentTypeRef::Component(_) => self.components.push(dearest),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export?;
                    self.rename(export.kind, export.index, dearest);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An export gives what it exports another index.
    fn rename(&mut self, kind: ComponentExternalKind, index: u32, dearest: Expansion) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(named(&self.modules, index, dearest)),
            ComponentExternalKind::Component => self.components.push(named(&self.components, index, dearest)),
            _ => {}
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Self], dearest: Expansion) {
        match alias {
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => self.modules.push(dearest),
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                self.components.push(dearest);
            }
            ComponentAlias::Outer { kind, count, index } => {
                // None out: an index of its own level.
                let level = (*count as usize).checked_sub(1).map(|out| outer.iter().rev().nth(out));
                let of = |own: &[Expansion], theirs: fn(&Self) -> &[Expansion]| match level {
                    None => named(own, *index, dearest),
                    Some(level) => level.map_or(dearest, |level| named(theirs(level), *index, dearest)),
                };
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        self.modules.push(of(&self.modules, |level| level.modules.as_slice()));
                    }
                    ComponentOuterAliasKind::Component => {
                        self.components.push(of(&self.components, |level| level.components.as_slice()));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// One that is not there is the compiler's to refuse.
fn named(parts: &[Expansion], index: u32, dearest: Expansion) -> Expansion {
    parts.get(index as usize).copied().unwrap_or(dearest)
}

// === impl Expansion ===

impl Expansion {
    fn add(&mut self, more: Self) {
        *self = self.both(more, usize::saturating_add);
    }

    fn or_more(self, other: Self) -> Self {
        self.both(other, usize::max)
    }

    fn both(self, other: Self, of: fn(usize, usize) -> usize) -> Self {
        Self {
            instances: of(self.instances, other.instances),
            functions: of(self.functions, other.functions),
            memories: of(self.memories, other.memories),
            tables: of(self.tables, other.tables),
            definitions: of(self.definitions, other.definitions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::census::definitions;
    use super::*;
    use wasmparser::Parser;

    fn expansion(wat: &str) -> Expansion {
        let (bytes, mut walk) = (wat::parse_str(wat).unwrap(), Walk::default());
        for payload in Parser::new(0).parse_all(&bytes) {
            let payload = payload.unwrap();
            walk.step(&payload, definitions(&payload)).unwrap();
        }
        walk.total()
    }

    #[test]
    fn what_is_not_instantiated_costs_nothing_and_what_is_costs_each_time() {
        let once = "(component (core module $m (memory 1) (table 1 funcref) (func) (func)) (core module (func)))";
        assert_eq!(expansion(once), Expansion::default());
        let thrice = once.trim_end_matches(')').to_owned() + "))" + &"(core instance (instantiate $m))".repeat(3) + ")";
        let Expansion { instances, functions, memories, tables, .. } = expansion(&thrice);
        assert_eq!((instances, functions, memories, tables), (3, 6, 3, 3));
    }

    /// Each level instantiates the one in it twice.
    fn doubled(levels: usize) -> String {
        let inner = "(core module $m (global i32 (i32.const 0))) (core instance (instantiate $m))".to_owned();
        let wrap = |inner: String, _| {
            format!("(component $c {inner}) (instance (instantiate $c)) (instance (instantiate $c))")
        };
        format!("(component {})", (0..levels).fold(inner, wrap))
    }

    #[test]
    fn levels_multiply_each_other() {
        assert_eq!(expansion(&doubled(5)).instances, 32);
        assert!(expansion(&doubled(5)).definitions > 32);
        assert_eq!(expansion(&doubled(70)).instances, usize::MAX, "and never overflow");
    }

    #[test]
    fn other_names_for_the_same_cost_the_same() {
        let outer = "(component (core module $m (func)) (component $c (alias outer 1 $m (core module $n)) \
                     (core instance (instantiate $n))) (instance (instantiate $c)))";
        assert_eq!(expansion(outer).functions, 1);
        let exported =
            "(component (core module $m (func)) (export $e \"e\" (core module $m)) (core instance (instantiate $e)))";
        assert_eq!(expansion(exported).functions, 1);
        let of_instance = "(component (component $c (core module $m (func) (func)) (export \"e\" (core module $m))) \
                           (instance $i (instantiate $c)) (alias export $i \"e\" (core module $n)) \
                           (core instance (instantiate $n)))";
        assert!(expansion(of_instance).functions >= 2);
    }
}
