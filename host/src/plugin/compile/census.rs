//! What a component is made of, counted before anything is compiled.
//!
//! One pass over the bytes, in their order, without recursion and without keeping anything but numbers; it stops at the first
//! number that is too large. What parts multiply to when they are instantiated is counted beside it (`expansion`). What the counted things contain is checked by the compiler, in its own process.

use wasmparser::{Parser, Payload};

use super::expansion::{Expansion, Walk};
use crate::config::CompileLimits;
use crate::plugin::limits::{MAX_DEFINITIONS, MAX_INSTANCES, MAX_MEMORIES, MAX_MODULES, MAX_NESTING, MAX_TABLES};
use crate::plugin::refusal::Problem;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    functions: usize,
    largest_function: usize,
    /// Core modules and components in the component, and how deep.
    modules: usize,
    nesting: usize,
    memories: usize,
    tables: usize,
    /// Types, imports, exports, instances and the like, of all modules together.
    definitions: usize,
    /// The same, as often as they are instantiated.
    expanded: Expansion,
}

// === impl Census ===

impl Census {
    pub fn of(bytes: &[u8], limits: &CompileLimits) -> Result<Self, Problem> {
        let (mut census, mut walk) = (Self::default(), Walk::default());
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| Problem::Malformed(error.to_string()))?;
            census.count(&payload);
            census.check(limits)?;
            let step = walk.step(&payload, definitions(&payload));
            step.map_err(|error| Problem::Malformed(error.to_string()))?;
            census.expanded = walk.total();
            census.check(limits)?;
        }
        Ok(census)
    }

    fn count(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.modules += 1;
                self.nesting += 1;
            }
            Payload::End(_) => self.nesting = self.nesting.saturating_sub(1),
            Payload::FunctionSection(section) => self.functions += section.count() as usize,
            Payload::CodeSectionEntry(body) => {
                self.largest_function = self.largest_function.max(body.range().len());
            }
            Payload::MemorySection(section) => self.memories += section.count() as usize,
            Payload::TableSection(section) => self.tables += section.count() as usize,
            other => self.definitions += definitions(other),
        }
    }

    fn check(&self, limits: &CompileLimits) -> Result<(), Problem> {
        let of = &self.expanded;
        let bounded = [
            ("functions", self.functions, limits.functions, "`engine.limits.functions`"),
            ("bytes in one function", self.largest_function, limits.function_size, "`engine.limits.function_size`"),
            ("modules", self.modules, MAX_MODULES, "this gateway"),
            ("levels of modules in modules", self.nesting, MAX_NESTING, "this gateway"),
            ("memories", self.memories, MAX_MEMORIES, "this gateway"),
            ("tables", self.tables, MAX_TABLES, "this gateway"),
            ("definitions", self.definitions, MAX_DEFINITIONS, "this gateway"),
            ("instances of modules", of.instances, MAX_INSTANCES, "this gateway"),
            ("functions in all its instances", of.functions, limits.functions, "`engine.limits.functions`"),
            ("memories in all its instances", of.memories, MAX_MEMORIES, "this gateway"),
            ("tables in all its instances", of.tables, MAX_TABLES, "this gateway"),
            ("definitions in all its instances", of.definitions, MAX_DEFINITIONS, "this gateway"),
        ];
        match bounded.into_iter().find(|(_, found, limit, _)| found > limit) {
            Some((what, found, limit, by)) => Err(Problem::TooMuch { what, found, limit, by }),
            None => Ok(()),
        }
    }
}

/// How many things a section defines, by its own word: the parser has not read them yet.
pub(super) fn definitions(payload: &Payload<'_>) -> usize {
    let count = match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::TagSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        _ => 0,
    };
    count as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn census(wat: &str) -> Result<Census, Problem> {
        Census::of(&wat::parse_str(wat).unwrap(), &CompileLimits::default())
    }

    fn too_much(wat: &str) -> (&'static str, usize) {
        match census(wat) {
            Err(Problem::TooMuch { what, found, .. }) => (what, found),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_is_counted_through_all_levels() {
        let counted = census(
            "(component (core module (func) (memory 1)) (component (core module (func) (func) (table 1 funcref))))",
        );
        let Census { functions, modules, nesting, memories, tables, .. } = counted.unwrap();
        assert_eq!((functions, modules, nesting, memories, tables), (3, 3, 0, 1, 1));
    }

    /// So many instances of a module with this in it.
    fn instances(count: usize, content: &str) -> String {
        let each = "(core instance (instantiate $m))".repeat(count);
        format!("(component (core module $m {content}) {each})")
    }

    #[test]
    fn what_a_component_multiplies_to_has_the_limits_of_what_it_is_and_one_more_is_refused() {
        assert!(census(&instances(32, "")).is_ok());
        assert_eq!(too_much(&instances(33, "")), ("instances of modules", 33));
        let globals = |count| "(global i32 (i32.const 0))".repeat(count);
        assert!(census(&instances(30, &globals(3_300))).is_ok());
        assert_eq!(too_much(&instances(31, &globals(3_300))).0, "definitions in all its instances");
        let functions = "(func)".repeat(2_500);
        assert!(census(&instances(20, &functions)).is_ok());
        assert_eq!(too_much(&instances(21, &functions)), ("functions in all its instances", 52_500));
        assert_eq!(too_much(&instances(9, "(memory 1)")), ("memories in all its instances", 9));
        assert_eq!(too_much(&instances(17, "(table 1 funcref)")), ("tables in all its instances", 17));
    }

    #[test]
    fn a_small_component_that_doubles_itself_is_refused_by_what_it_doubles_to() {
        let inner = "(core module $m) (core instance (instantiate $m))".to_owned();
        let wrap = |inner: String, _| {
            format!("(component $c {inner}) (instance (instantiate $c)) (instance (instantiate $c))")
        };
        let levels = |count| format!("(component {})", (0..count).fold(inner.clone(), wrap));
        assert!(census(&levels(5)).is_ok());
        assert_eq!(too_much(&levels(6)), ("instances of modules", 64));
    }

    #[test]
    fn each_number_has_its_limit() {
        let functions = format!("(component (core module {}))", "(func)".repeat(50_001));
        assert_eq!(too_much(&functions), ("functions", 50_001));
        let large = format!("(component (core module (func {})))", "nop ".repeat((1 << 20) + 1));
        assert_eq!(too_much(&large).0, "bytes in one function");
        let modules = format!("(component {})", "(core module)".repeat(MAX_MODULES + 1));
        assert_eq!(too_much(&modules), ("modules", MAX_MODULES + 1));
        let nested = format!("{}{}", "(component ".repeat(MAX_NESTING + 2), ")".repeat(MAX_NESTING + 2));
        assert_eq!(too_much(&nested), ("levels of modules in modules", MAX_NESTING + 1));
        let memories = format!("(component (core module {}))", "(memory 0)".repeat(MAX_MEMORIES + 1));
        assert_eq!(too_much(&memories), ("memories", MAX_MEMORIES + 1));
        let tables = format!("(component (core module {}))", "(table 0 funcref)".repeat(MAX_TABLES + 1));
        assert_eq!(too_much(&tables), ("tables", MAX_TABLES + 1));
        let globals = format!("(component (core module {}))", "(global i32 i32.const 0)".repeat(MAX_DEFINITIONS + 1));
        assert_eq!(too_much(&globals), ("definitions", MAX_DEFINITIONS + 1));
    }

    #[test]
    fn a_refusal_names_the_number_and_who_sets_it() {
        let limits = CompileLimits { functions: 1, ..CompileLimits::default() };
        let bytes = wat::parse_str("(component (core module (func) (func)))").unwrap();
        let told = Census::of(&bytes, &limits).unwrap_err().to_string();
        assert!(told.contains("2 functions") && told.contains("`engine.limits.functions` allows 1"), "{told}");
    }

    proptest! {
        #[test]
        fn no_bytes_do_more_than_fail(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let component = [b"\0asm\x0d\0\x01\0".as_slice(), &bytes].concat();
            let _ = Census::of(&component, &CompileLimits::default());
        }
    }
}
