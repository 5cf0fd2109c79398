//! The configuration of a plan, as a person would write it, and how it changes between two processes.

use std::path::Path;
use std::time::Duration;

use crate::config::{self, Config, Qos0, WhenFull};
use crate::sim::plan::{Plan, UpstreamPlan};

/// Of the next process.
pub struct Settings {
    pub spool_bytes: u64,
    pub without_last: bool,
    pub drops_qos0_first: bool,
}

// === impl Settings ===

impl Settings {
    pub fn new(plan: &Plan) -> Self {
        Self { spool_bytes: plan.spool_bytes, without_last: false, drops_qos0_first: false }
    }

    pub fn config(&self, plan: &Plan) -> Config {
        let upstreams = match plan.upstreams.split_last() {
            Some((_, others)) if self.without_last => others,
            _ => &plan.upstreams[..],
        };
        let text = text(plan.receive_maximum, upstreams);
        let mut config = config::parse(&text, "simulated", Path::new(env!("CARGO_MANIFEST_DIR")))
            .unwrap_or_else(|problems| panic!("{problems}"));
        config.spool.max_bytes = self.spool_bytes;
        config.spool.free_floor = 0;
        // Longer than a run, and shorter than clocks jump.
        config.broker.limits.max_session_expiry = Duration::from_secs(12 * 3_600);
        if self.drops_qos0_first {
            (config.spool.when_full, config.spool.qos0) = (WhenFull::DropQos0First, Qos0::Spool);
        }
        config
    }
}

fn upstream(upstream: &UpstreamPlan) -> String {
    let UpstreamPlan { name, version, max_inflight, first, .. } = upstream;
    let first = first.map(|_| format!("\"mqtt://first-{name}\", ")).unwrap_or_default();
    format!(
        "[upstreams.{name}]\nurl = [{first}\"mqtt://{name}\"]\nprotocol = {version}\nmax_inflight = {max_inflight}\nkeep_alive = \"20s\"\n"
    )
}

fn text(receive_maximum: u16, upstreams: &[UpstreamPlan]) -> String {
    let to = |upstream: &UpstreamPlan| format!(r#"{{ upstream = "{}", topic = "{{topic}}" }}"#, upstream.name);
    let to_all: Vec<String> = upstreams.iter().map(to).collect();
    format!(
        r#"
        [gateway]
        id = "gw"
        [broker.limits]
        receive_maximum = {receive_maximum}
        {}
        [plugins.native]
        component = "Cargo.toml"
        [[bindings]]
        name = "raw"
        topic = "raw/#"
        to = [{first}]
        [[bindings]]
        name = "cooked"
        topic = "cooked/#"
        plugins = ["native"]
        to = [{first}]
        [[bindings]]
        name = "both"
        topic = "both/#"
        to = [{}]
        [[bindings]]
        name = "staged"
        topic = "staged/#"
        to = [{{ local = true, topic = "second/{{topic}}" }}]
        [[bindings]]
        name = "staged-too"
        topic = "staged-too/#"
        to = [{{ local = true, topic = "second/{{topic}}" }}]
        [[bindings]]
        name = "second"
        topic = "second/#"
        to = [{first}]
        "#,
        upstreams.iter().map(upstream).collect::<String>(),
        to_all.join(", "),
        first = to_all[0],
    )
}
