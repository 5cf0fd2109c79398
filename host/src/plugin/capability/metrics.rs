//! `metrics`: numbers of a plugin's own, kept beside those that the host counts about it (`plugin/metrics.rs`).

use std::sync::Arc;

use crate::plugin::contract::metrics;
use crate::plugin::metrics::PluginMetrics;

impl metrics::Host for Arc<PluginMetrics> {
    fn count(&mut self, name: String, add: u64) -> wasmtime::Result<()> {
        PluginMetrics::count(self, &name, add);
        Ok(())
    }

    fn gauge(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        PluginMetrics::gauge(self, &name, value);
        Ok(())
    }
}
