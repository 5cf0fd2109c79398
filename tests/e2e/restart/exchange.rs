//! A QoS 2 message of a device, with a crash between any two steps: it goes upstream once, and its device hears the end of it.
//!
//! The DUP flag decides nothing [MQTT-4.3.3-10]: some devices do not set it when they come back.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{PUBCOMP, PUBREC, PUBREL, V4, V5, Version, ack, publish};

use super::{back, forwarding, new};

const ID: u16 = 7;

/// MQTT 5 says with this that an identifier is not in use.
const NOT_FOUND: u8 = 0x92;

fn send(device: &mut Raw, payload: &str, dup: bool) {
    let packet = publish(device.version(), "t/x", payload).qos(2, ID);
    device.send(&if dup { packet.dup() } else { packet }.encode());
}

fn receive(device: &mut Raw, payload: &str, dup: bool) {
    send(device, payload, dup);
    assert_eq!((device.expect(PUBREC).packet_id(), payload), (ID, payload));
}

fn release(device: &mut Raw) -> u8 {
    device.send(&ack(PUBREL, ID));
    let pubcomp = device.expect(PUBCOMP);
    assert_eq!(pubcomp.packet_id(), ID);
    pubcomp.reason()
}

/// Exactly these, in this order, when the gateway has sent all it has; and one that is sent now, of another device, anywhere.
fn assert_arrived(gateway: Gateway, sink: &Sink, expected: &[String]) {
    Raw::clean(gateway.address(), V5, "last").publish("t/last", "last", 1);
    sink.wait_for(expected.len() + 1);
    gateway.stop();
    let arrivals = sink.arrivals();
    let payloads = arrivals.iter().map(|arrival| arrival.payload.as_str()).filter(|payload| *payload != "last");
    assert_eq!(payloads.collect::<Vec<_>>(), expected);
}

/// Carries out `steps` for both versions of the protocol, and for resends with DUP and without: each sends one message.
fn each(steps: impl Fn(&mut Gateway, Version, &str, bool)) {
    let (_upstream, sink, mut gateway) = forwarding();
    let mut expected = Vec::new();
    for (version, dup) in [(V4, false), (V4, true), (V5, false), (V5, true)] {
        let name = format!("{version:?} {dup}");
        steps(&mut gateway, version, &name, dup);
        expected.push(name);
    }
    assert_arrived(gateway, &sink, &expected);
}

#[test]
fn a_crash_before_pubrec_is_heard() {
    each(|gateway, version, name, dup| {
        let mut device = new(gateway, version, name);
        send(&mut device, name, false);
        // Where the gateway is with it by now is open, and must not matter.
        gateway.crash();
        let mut device = back(gateway, version, name);
        receive(&mut device, name, dup);
        assert_eq!(release(&mut device), 0);
    });
}

#[test]
fn a_crash_after_pubrec_and_the_message_comes_again() {
    each(|gateway, version, name, dup| {
        receive(&mut new(gateway, version, name), name, false);
        gateway.crash();
        let mut device = back(gateway, version, name);
        receive(&mut device, name, dup);
        assert_eq!(release(&mut device), 0);
    });
}

#[test]
fn a_crash_after_pubrec_and_the_release_comes_next() {
    each(|gateway, version, name, _| {
        receive(&mut new(gateway, version, name), name, false);
        gateway.crash();
        assert_eq!(release(&mut back(gateway, version, name)), 0);
    });
}

#[test]
fn a_crash_between_pubrel_and_pubcomp() {
    each(|gateway, version, name, _| {
        let mut device = new(gateway, version, name);
        receive(&mut device, name, false);
        device.send(&ack(PUBREL, ID));
        gateway.crash();
        let reason = release(&mut back(gateway, version, name));
        assert!(reason == 0 || (version == V5 && reason == NOT_FOUND), "{reason:#x}");
    });
}

#[test]
fn after_pubcomp_the_identifier_is_free_again_also_after_a_crash() {
    let (_upstream, sink, mut gateway) = forwarding();
    let mut expected = Vec::new();
    for version in [V4, V5] {
        let name = format!("{version:?}");
        let mut device = new(&gateway, version, &name);
        for round in 0..3 {
            let payload = format!("{name} {round}");
            receive(&mut device, &payload, false);
            assert_eq!(release(&mut device), 0);
            expected.push(payload);
            gateway.crash();
            device = back(&gateway, version, &name);
        }
    }
    assert_arrived(gateway, &sink, &expected);
}

#[test]
fn a_session_that_began_anew_knows_nothing_of_the_last_ones_identifiers() {
    let (_upstream, sink, mut gateway) = forwarding();
    receive(&mut new(&gateway, V5, "device"), "first", false);
    drop(Raw::clean(gateway.address(), V5, "device"));
    drop(new(&gateway, V5, "device"));
    gateway.crash();
    let mut device = back(&gateway, V5, "device");
    receive(&mut device, "second", true);
    assert_eq!(release(&mut device), 0);
    assert_arrived(gateway, &sink, &["first".to_owned(), "second".to_owned()]);
}
