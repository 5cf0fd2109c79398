//! Signs of life say that the gateway works, and not that a timer runs.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::raw::Raw;
use tidegate_tests::supervisor::Supervisor;
use tidegate_tests::wire::{V4, publish};

use crate::disk_faults::injecting;

const PERIOD: Duration = Duration::from_millis(300);

#[test]
fn a_gateway_without_work_and_one_with_work_give_signs_of_life() {
    let supervisor = Supervisor::listening();
    let gateway = Gateway::launch(&Arc::new(Home::new("")), &supervisor.launch(Some(PERIOD)));
    supervisor.wait_for("WATCHDOG=1", 5);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    let begun = supervisor.count("WATCHDOG=1");
    while supervisor.count("WATCHDOG=1") < begun + 5 {
        device.publish("t", "x", 1);
    }
}

#[test]
fn without_a_watchdog_nobody_is_told_that_it_lives() {
    let supervisor = Supervisor::listening();
    let gateway = Gateway::launch(&Arc::new(Home::new("")), &supervisor.launch(None));
    supervisor.wait_for("READY=1", 1);
    gateway.stop();
    assert_eq!(supervisor.count("WATCHDOG=1"), 0);
}

/// The thread that commits is in a sync that does not come back, and everything else in the process is well.
#[test]
fn a_writer_of_the_spool_that_hangs_ends_the_signs_of_life() {
    let supervisor = Supervisor::listening();
    let mut launch =
        injecting("fdatasync:delay_enter=600s:when=12+").expect("strace, and a machine that lets it trace");
    launch.env = supervisor.launch(Some(PERIOD)).env;
    let upstream = "[upstreams.away]\nurl = \"mqtt://127.0.0.1:9\"\n[[bindings]]\nname = \"b\"\ntopic = \"#\"\nto = [{ upstream = \"away\" }]\n";
    let gateway = Gateway::launch(&Arc::new(Home::new(upstream)), &launch);
    supervisor.wait_for("WATCHDOG=1", 2);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    let mut id = 1;
    let hangs = |line: &str| line.contains("the writer of the spool does not answer");
    while gateway.log().count(hangs) == 0 {
        // Not waited for: one of them has no ack.
        device.send(&publish(V4, "t", "x").qos(1, id).encode());
        id = id % 60_000 + 1;
        sleep(PERIOD / 30);
    }
    let signs = supervisor.count("WATCHDOG=1");
    sleep(4 * PERIOD);
    assert_eq!(
        supervisor.count("WATCHDOG=1"),
        signs,
        "a gateway that acknowledges nothing any more says that it lives"
    );
    Raw::open(gateway.address(), V4);
    end_tracer(gateway.pid());
    gateway.kill();
}

/// strace would keep the thread that it holds back, also after the process was killed.
fn end_tracer(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the gateway runs");
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).map(str::trim);
    let line = format!("kill -KILL {}", tracer.expect("the kernel tells it"));
    assert!(Command::new("sh").arg("-c").arg(&line).status().is_ok_and(|status| status.success()), "{line}");
}
