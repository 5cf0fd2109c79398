//! Devices do not wait for the compiler, and what they are told while it works stays true.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, V4, V5, publish};

/// One is compiled at a time.
const COMPONENTS: usize = 2;
const MESSAGES: u16 = 20;

/// A gateway whose cache is empty, with so many different components; the binding `late` has the last of them.
fn cold(policy: &str) -> Arc<Home> {
    let plugin = |n: usize| {
        format!(
            "[plugins.p{n}]\ncomponent = \"p{n}.wasm\"\nconfig = {{ min = 0 }}\n\
             [[bindings]]\nname = \"b{n}\"\ntopic = \"t{n}\"\nplugins = [\"p{n}\"]\nto = [{{ local = true, topic = \"o\" }}]\n"
        )
    };
    let last = COMPONENTS - 1;
    let home = Home::new(&format!(
        "{}[[bindings]]\nname = \"late\"\ntopic = \"late\"\nplugins = [\"p{last}\"]\non_start_failure = \"{policy}\"\n\
         to = [{{ local = true, topic = \"out/late\" }}]\n\
         [[bindings]]\nname = \"plain\"\ntopic = \"plain\"\nto = [{{ local = true, topic = \"out/plain\" }}]\n",
        (0..COMPONENTS).map(plugin).collect::<String>()
    ));
    fs::remove_file(home.path().join("data/compiled")).expect("the cache that all tests share is a link");
    let component = fs::read(binary::plugins().join("threshold.wasm")).expect("the plugin is built");
    for n in 0..COMPONENTS {
        // The same with a custom section of its own: another component for the cache.
        let different = [&component[..], &[0, 3, 1, b'n', n as u8]].concat();
        fs::write(home.path().join(format!("p{n}.wasm")), different).expect("a file in a temporary folder");
    }
    Arc::new(home)
}

fn is_compiled(line: &str) -> bool {
    line.contains("compiled; the next start") && line.contains(&format!("plugin=\"p{}\"", COMPONENTS - 1))
}

fn assert_still_compiling(gateway: &Gateway, after: &str) {
    assert_eq!(
        gateway.log().count(is_compiled),
        0,
        "{after}, and that came after the compiler:\n{}",
        gateway.log().text()
    );
}

/// What this process has started.
fn children(pid: u32) -> Vec<String> {
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(of_task).collect::<String>().split_whitespace().map(str::to_owned).collect()
}

fn signal(signal: &str, pid: &str) -> bool {
    Command::new("kill").args([signal, pid]).status().is_ok_and(|status| status.success())
}

/// It has limited itself, which is the last thing before it reads.
fn is_at_work(pid: &str) -> bool {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let of_files = limits.lines().find(|line| line.starts_with("Max file size"));
    of_files.is_some_and(|line| line.split_whitespace().nth(3) == Some("0"))
}

/// Its compiler, which stands still from now on: how long it takes says nothing.
fn held_compiler(gateway: &Gateway) -> String {
    let held = |pid: &String| is_at_work(pid) && signal("-STOP", pid) && !is_gone(pid);
    eventually("a compiler runs", SOON, || children(gateway.pid()).into_iter().find(held))
}

/// Gone, or a zombie that nobody has asked for.
fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn devices_are_served_while_plugins_are_compiled_and_what_waited_arrives_in_order() {
    let home = cold("dead-letter");
    let gateway = Gateway::launch(&home, &Launch::default());
    let compiler = held_compiler(&gateway);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 1);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for id in 1..=MESSAGES {
        device.send(&publish(V4, "late", id.to_string()).qos(1, id).encode());
    }
    // No ack before the answer to the ping: they are held, whatever the binding does when plugins fail.
    device.expect_quiet();
    let mut other = Raw::clean(gateway.address(), V4, "other");
    other.publish("plain", "at once", 1);
    let first = listener.expect_delivery();
    assert_eq!((first.topic.as_str(), first.payload.as_str()), ("out/plain", "at once"));
    listener.acknowledge(&first);
    let status = home.tidegate("status", &[]).out;
    assert_still_compiling(&gateway, "devices were answered");
    assert!(status.contains("binding late is starting"), "{status}");
    assert!(signal("-CONT", &compiler));

    for id in 1..=MESSAGES {
        device.finish_publish(1, id);
        let delivered = listener.expect_delivery();
        assert_eq!((delivered.topic.as_str(), delivered.payload.clone()), ("out/late", id.to_string()));
        listener.acknowledge(&delivered);
    }
    soon("the last one is compiled", || gateway.log().count(is_compiled) == 1);
    assert_eq!(gateway.log().count(|line| line.contains("plugin loaded")), COMPONENTS);
    assert_eq!(gateway.stop()["dead_lettered"], 0);

    // The second start has nothing to wait for.
    let gateway = Gateway::launch(&home, &Launch::default());
    assert_eq!(gateway.log().count(|line| line.contains("plugin loaded")), COMPONENTS);
    assert_eq!(gateway.log().count(|line| line.contains("compiled;")), 0);
    gateway.stop();
}

#[test]
fn a_kill_while_plugins_are_compiled_costs_nothing_that_was_acknowledged_and_ends_the_compiler() {
    let home = cold("hold");
    let gateway = Gateway::launch(&home, &Launch::default());
    let compiler = held_compiler(&gateway);
    let away = Connect::new(V5, "away").persistent(3_600);
    let (mut subscriber, _) = Raw::connect(gateway.address(), &away);
    subscriber.subscribe("out/#", 1);
    subscriber.leave();
    let mut device = Raw::clean(gateway.address(), V4, "device");
    device.publish("plain", "acknowledged", 1);
    device.send(&publish(V4, "late", "7").qos(1, 9).encode());
    device.expect_quiet();
    assert_still_compiling(&gateway, "a message was acknowledged");
    let gateway = gateway.kill();
    soon("its compiler ends with it", || is_gone(&compiler));

    let gateway = gateway.start_again();
    let mut device = Raw::clean(gateway.address(), V4, "device");
    device.send(&publish(V4, "late", "7").qos(1, 9).dup().encode());
    assert_eq!(device.expect(wire::PUBACK).packet_id(), 9);
    let (mut subscriber, _) = Raw::connect(gateway.address(), &Connect::new(V5, "away").persistent(3_600).clean(false));
    for payload in ["acknowledged", "7"] {
        let delivered = subscriber.expect_delivery();
        assert_eq!(delivered.payload, payload);
        subscriber.acknowledge(&delivered);
    }
    gateway.stop();
}

#[test]
fn strict_bindings_keep_devices_out_until_their_plugins_are_compiled() {
    let home = cold("strict");
    let gateway = Gateway::launch(&home, &Launch::default());
    // Before it listened: the log is in order.
    let lines = gateway.log().all();
    let place = |found: &dyn Fn(&str) -> bool| lines.iter().position(|line| found(line));
    let (compiled, listening) = (place(&is_compiled), place(&|line| line.contains("listening listener=")));
    assert!(compiled.is_some() && compiled < listening, "{compiled:?} {listening:?}:\n{}", gateway.log().text());
    gateway.stop();
}
