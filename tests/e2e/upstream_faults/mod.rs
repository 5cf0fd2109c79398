//! The way to the upstream fails in every manner that the chaos proxy knows; what was acknowledged arrives, and as promised.

mod away;
mod drain;
mod failover;
mod never_completed;
mod not_taken;
mod several;
mod silence;
mod steps;
mod terms;

use tidegate_tests::chaos::Proxy;
use tidegate_tests::driver::Driver;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::oracle::{Oracle, Seen, Verdict};
use tidegate_tests::raw::Raw;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::V5;

/// Most messages of a line that may be in flight: so many may repeat at QoS 1.
const WINDOW: usize = 10;

/// A server with a proxy before it, which a gateway knows by a name.
struct Line {
    name: String,
    upstream: Upstream,
    proxy: Proxy,
}

/// A device that sends to one line, and the judge of what becomes of it.
struct Load {
    topic: String,
    device: Driver,
    oracle: Oracle,
}

// === impl Line ===

impl Line {
    fn to(name: &str, upstream: Upstream) -> Self {
        let proxy = Proxy::to(upstream.address());
        Self { name: name.to_owned(), upstream, proxy }
    }

    /// The upstream, and the binding that everything below the topic `NAME` goes through.
    fn config(&self, protocol: u8, more: &str) -> String {
        config(&self.name, &self.proxy.upstream(&self.name, protocol), more)
    }

    /// Waits until nothing acknowledged is missing.
    fn judge(&self, load: &Load) -> Verdict {
        let verdict = || load.oracle.judge(&self.seen(&load.topic));
        tidegate_tests::eventually::soon(&format!("all arrive at {}", self.name), || verdict().lost.is_empty());
        verdict()
    }

    fn seen(&self, topic: &str) -> Vec<Seen> {
        self.upstream.seen().into_iter().filter(|seen| seen.message.topic == topic).collect()
    }
}

fn config(name: &str, upstream: &str, more: &str) -> String {
    format!(
        "{upstream}max_inflight = {WINDOW}\n{more}\n\n[[bindings]]\nname = \"{name}\"\ntopic = \"{name}/#\"\n\
         to = [{{ upstream = \"{name}\" }}]\n\n"
    )
}

// === impl Load ===

impl Load {
    /// Nobody else has this name.
    fn new(gateway: &Gateway, line: &str, qos: u8) -> Self {
        let (name, topic) = (format!("{line}-q{qos}"), format!("{line}/q{qos}"));
        let device = Raw::clean(gateway.address(), V5, &name);
        let device = Driver::new(device, &name, &topic, qos, unchanged);
        Self { topic, device, oracle: Oracle::new() }
    }

    fn send(&mut self, count: usize) {
        self.device.send(count, &mut self.oracle);
    }
}

/// What arrives when no plugin is in the way.
fn unchanged(topic: &str, id: &str, number: usize) -> (String, String) {
    (topic.to_owned(), tidegate_tests::driver::payload_of(id, number))
}
