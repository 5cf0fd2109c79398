//! A gateway that is killed with SIGKILL and started again: what it has promised to devices it still knows.

mod exchange;
mod load;
mod retained;
mod subscriber;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{Connect, V5, Version};

/// Everything below `t` goes upstream.
fn forwarding() -> (Mosquitto, Sink, Gateway) {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "up/#");
    let binding =
        "[[bindings]]\nname = \"all\"\ntopic = \"t/#\"\nto = [{ upstream = \"cloud\", topic = \"up/{topic}\" }]\n";
    let gateway = Gateway::start(&format!("{}\n{binding}", upstream.upstream("cloud", 5)));
    (upstream, sink, gateway)
}

/// In the session that this client left behind.
fn back(gateway: &Gateway, version: Version, client: &str) -> Raw {
    let (device, connack) = Raw::connect(gateway.address(), &keeping(version, client));
    assert!(connack.session_present(), "the session of {client:?} is gone");
    device
}

/// In a session that there has not been before, and which is written when this returns.
fn new(gateway: &Gateway, version: Version, client: &str) -> Raw {
    let (device, connack) = Raw::connect(gateway.address(), &keeping(version, client));
    assert!(!connack.session_present(), "{client:?} has been here before");
    settle(gateway);
    device
}

/// Nobody waits until it is written that he was heard: the gateway only repeats itself when it is lost. Here it is not, because
/// what is acknowledged now was written after it.
fn settle(gateway: &Gateway) {
    let (mut witness, _) = Raw::connect(gateway.address(), &keeping(V5, "witness"));
    witness.subscribe("nothing", 1);
}

fn keeping(version: Version, client: &str) -> Connect {
    Connect::new(version, client).persistent(600)
}

fn talker(gateway: &Gateway) -> Raw {
    Raw::clean(gateway.address(), V5, "talker")
}
