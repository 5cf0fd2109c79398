//! The settings that guest code is compiled with. The gateway and the process that compiles for it must agree on all of them.

use wasmtime::{Config, Engine, Inlining};

use crate::config::Backend;
use crate::plugin::limits::MAX_STACK_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub backend: Backend,
    /// 8 to 10 % faster guests for 2.5 times the compile time: worth it when the result is kept.
    pub inlining: bool,
}

/// The bytecode for the width of this machine's pointers.
#[cfg(target_pointer_width = "64")]
const PULLEY: &str = "pulley64";
#[cfg(target_pointer_width = "32")]
const PULLEY: &str = "pulley32";

// === impl Settings ===

impl Settings {
    pub fn engine(self) -> wasmtime::Result<Engine> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // Tasks of the component model's async side: a call costs three times as much with them, and nothing here waits.
            .concurrency_support(false)
            // Not fuel: it costs the same, and what has to be bounded is the time that a thread is held.
            .epoch_interruption(true)
            // One core of a gateway that has other things to do; and processor time that is not more than wall time.
            .parallel_compilation(false)
            .max_wasm_stack(MAX_STACK_BYTES);
        if self.backend == Backend::Pulley {
            config.target(PULLEY)?;
        }
        if self.inlining {
            config.compiler_inlining(Inlining::Yes);
        }
        Engine::new(&config)
    }

    /// Here and now, without limits.
    pub fn compile(self, bytes: &[u8]) -> wasmtime::Result<Vec<u8>> {
        self.engine()?.precompile_component(bytes)
    }
}
