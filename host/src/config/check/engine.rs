//! `[engine]`: how plugins become native code, and how much work that may be.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::checked::{Backend, CompileLimits, Engine};
use crate::config::problem::Problem;
use crate::config::raw::Table;

pub fn check(table: &Table<'_>) -> Engine {
    let engine = Engine { backend: backend(table).unwrap_or_default(), limits: limits(&table.table("limits")) };
    table.finish();
    engine
}

fn backend(table: &Table<'_>) -> Option<Backend> {
    let typed = table.text("backend")?;
    match *typed.get_ref() {
        "cranelift" => Some(Backend::Cranelift),
        "pulley" => Some(Backend::Pulley),
        text => {
            let advice = "write `backend = \"cranelift\"`, or `\"pulley\"` on a machine that Cranelift has no code for, such as 32-bit Arm";
            table.add(Problem::error(typed.span(), format!("`backend` cannot be \"{text}\"")).advice(advice));
            None
        }
    }
}

fn limits(table: &Table<'_>) -> CompileLimits {
    let default = CompileLimits::default();
    let (kib, gib) = (ByteSize::kib(1), ByteSize::gib(1));
    let limits = CompileLimits {
        component_size: table.size("component_size", kib..=gib).unwrap_or(default.component_size),
        // wasmtime has a limit of its own at a million functions, and near 7.3 MiB for one.
        functions: table.number("functions", 1..=1_000_000).unwrap_or(default.functions),
        function_size: table.size("function_size", kib..=ByteSize::mib(7)).unwrap_or(default.function_size),
        memory_total: table.size("memory_total", ByteSize::mib(1)..=ByteSize::gib(64)).unwrap_or(default.memory_total),
        // With less than this the compiler itself does not start.
        memory: table.size("compile_memory", ByteSize::mib(128)..=ByteSize::gib(64)).unwrap_or(default.memory),
        time: table
            .duration("compile_time", Duration::from_secs(1)..=Duration::from_secs(3_600))
            .unwrap_or(default.time),
    };
    table.finish();
    limits
}
