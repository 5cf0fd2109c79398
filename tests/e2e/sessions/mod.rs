//! What the embedded broker owes a device: sessions, retained messages, wills, shared subscriptions, flow control.

mod command;
mod crowds;
mod expiry;
mod flow;
mod groups;
mod lowered;
mod options;
mod persistent;
mod replay;
mod retained;
mod shared;
mod suspects;
mod takeover;
mod wills;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{V4, V5};

/// Bits of the subscription options byte (MQTT 5, section 3.8.3.1); the lowest two are the QoS.
const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const SEND_RETAINED_IF_NEW: u8 = 0x10;
const DO_NOT_SEND_RETAINED: u8 = 0x20;

fn listener(gateway: &Gateway, filter: &str, options: u8) -> Raw {
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe(filter, options);
    listener
}

fn talker(gateway: &Gateway) -> Raw {
    Raw::clean(gateway.address(), V4, "talker")
}
