//! A backup is made of a gateway that runs, and brought back without sending anything twice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::process::Finished;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V5};

fn good(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out
}

/// What goes up, and what dies on its way.
fn config(cloud: &Mosquitto) -> String {
    format!(
        r#"{}
        [plugins.plausible]
        component = "plugins/threshold.wasm"
        config = {{ field = "", max = 100000000.0 }}
        [[bindings]]
        name = "up"
        topic = "up/#"
        plugins = ["plausible"]
        to = [{{ upstream = "cloud" }}]
        "#,
        cloud.upstream("cloud", 5)
    )
}

/// Makes a home whose data folder is the backup of another one.
fn restored(config: &str, backup: &str, more: &[&str]) -> (Arc<Home>, String) {
    let home = Home::new(config);
    let said = good(home.tidegate("restore", &[&[backup], more].concat()));
    (Arc::new(home), said)
}

fn lines(text: &str) -> Vec<String> {
    let topic = |line: &str| -> String {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        value["message"]["payload"].as_str().unwrap_or_default().to_owned()
    };
    text.lines().map(topic).collect()
}

#[test]
fn what_waited_is_not_sent_by_the_restored_one_and_everything_else_is_there() {
    let mut cloud = Mosquitto::stopped();
    let gateway = Gateway::start(&config(&cloud));
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "keeper").persistent(600));
    device.subscribe("kept", 1);
    ["1", "2", "no number"].iter().for_each(|payload| device.publish("up/x", payload, 1));
    gateway.expect_letters(1);
    let backup = gateway.home().path().join("backup").display().to_string();
    let said = good(gateway.home().tidegate("backup", &["--to", &backup]));
    assert!(said.contains("2 messages that wait, 1 dead letters"), "{said}");
    assert_eq!(fs::metadata(&backup).expect("a folder").permissions().mode() & 0o777, 0o700);
    let again = gateway.home().tidegate("backup", &["--to", &backup]);
    assert!(again.code == Some(1) && again.err.contains("is there already"), "{again:?}");
    // The original goes on, and sends them.
    cloud.restart();
    gateway.expect_count("forwarded", 2);
    let original = gateway.stop_and_keep();

    let (home, said) = restored(&config(&cloud), &backup, &[]);
    assert!(said.contains("2 messages") && said.contains("not-sent.jsonl"), "{said}");
    let not_sent = fs::read_to_string(home.path().join("data/not-sent.jsonl")).expect("what was not sent");
    assert_eq!(lines(&not_sent), ["1", "2"]);
    let gateway = Gateway::launch(&home, &Launch::default());
    gateway.expect_letters(1);
    assert!(good(home.tidegate("sessions", &[])).contains("keeper: away"));
    Raw::clean(gateway.address(), V5, "device").publish("up/x", "3", 1);
    gateway.expect_count("forwarded", 1);
    let counters = gateway.stop();
    assert_eq!((counters["forwarded"], counters["recovered"]), (1, 0));

    let (home, said) = restored(&config(&cloud), &backup, &["--send-again"]);
    assert!(!said.contains("not sent"), "{said}");
    let gateway = Gateway::launch(&home, &Launch::default());
    gateway.expect_count("forwarded", 2);
    assert_eq!(gateway.stop()["recovered"], 2);
    drop(original);
}

#[test]
fn a_backup_that_is_made_under_load_has_all_that_was_acknowledged_before_it() {
    let cloud = Mosquitto::stopped();
    let gateway = Gateway::start(&config(&cloud));
    let mut device = Raw::clean(gateway.address(), V5, "before");
    (0..50).for_each(|number| device.publish("up/x", &number.to_string(), 1));
    let stop = Arc::new(AtomicBool::new(false));
    let (address, flag) = (gateway.address(), stop.clone());
    let load = thread::spawn(move || {
        let mut device = Raw::clean(address, V5, "load");
        while !flag.load(Ordering::Relaxed) {
            device.publish("up/load", "1", 2);
        }
    });
    for copy in 0..5 {
        let backup = gateway.home().path().join(format!("backup-{copy}")).display().to_string();
        let made = gateway.home().tidegate("backup", &["--to", &backup]);
        assert!(!made.err.contains("damaged"), "{made:?}");
        good(made);
        let (home, _) = restored(&config(&cloud), &backup, &["--send-again"]);
        assert!(good(home.spool("verify", &[])).contains("spool: good"));
        let there = lines(&good(home.spool("export", &["--upstream", "cloud"])));
        assert!(there.len() >= 50 && (0..50).all(|number| there.contains(&number.to_string())));
    }
    stop.store(true, Ordering::Relaxed);
    load.join().expect("the load ends");
    drop(gateway.kill());
}

#[test]
fn a_folder_that_is_used_or_no_backup_is_refused_and_nothing_changes() {
    let gateway = Gateway::start("");
    let backup = gateway.home().path().join("backup").display().to_string();
    good(gateway.home().tidegate("backup", &["--to", &backup]));
    let running = gateway.home().tidegate("restore", &[&backup]);
    assert!(running.code == Some(1) && running.err.contains("a gateway runs"), "{running:?}");
    let stopped = gateway.stop_and_keep();
    let used = stopped.home().tidegate("restore", &[&backup]);
    assert!(used.code == Some(1) && used.err.contains("is there already"), "{used:?}");
    fs::remove_file(format!("{backup}/backup.json")).expect("a file of it");
    let other = Home::new("");
    let half = other.tidegate("restore", &[&backup]);
    assert!(half.code == Some(1) && half.err.contains("is no backup"), "{half:?}");
    assert!(!other.path().join("data/spool").exists());
}

#[test]
fn one_message_is_exported_by_its_number_and_one_that_is_not_there_is_told() {
    let cloud = Mosquitto::stopped();
    let gateway = Gateway::start(&config(&cloud));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    ["1", "2", "3", "no number"].iter().for_each(|payload| device.publish("up/x", payload, 1));
    gateway.expect_letters(1);
    let home = gateway.home();
    assert_eq!(lines(&good(home.spool("export", &["--upstream", "cloud", "--number", "2"]))), ["2"]);
    assert_eq!(lines(&good(home.spool("export", &["--dead-letters", "--id", "1"]))), ["no number"]);
    good(home.spool("skip", &["--upstream", "cloud", "--number", "2", "--drop"]));
    // What is done is written down when it suits.
    soon("it is gone, and that is told", || {
        let gone = home.spool("export", &["--upstream", "cloud", "--number", "2"]);
        gone.code == Some(1) && gone.err.contains("there is none with number 2")
    });
    gateway.stop();
}
