//! Files that change while devices are connected: new connections see the new ones, and no connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tidegate_tests::eventually::soon;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Authority, Client, Issued, Leaf};
use tidegate_tests::wire::V5;

use super::Plant;

const IN_USE: &str = "are in use for new connections";

/// A device that publishes one message after the other on one connection.
struct Steady {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Steady {
    fn start(plant: &Plant, issued: &Issued) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut device = Raw::clean_over(plant.client(issued).connect(plant.address).unwrap(), V5, "steady");
        let (stopped, counted) = (stop.clone(), sent.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                device.publish("t", "x", 1);
                counted.fetch_add(1, Ordering::Relaxed);
            }
            device.leave();
        });
        Self { stop, sent, thread }
    }

    /// It goes on, on the same connection.
    fn expect_progress(&self) {
        let before = self.sent.load(Ordering::Relaxed);
        soon("the connection goes on", || self.sent.load(Ordering::Relaxed) > before + 10 || self.thread.is_finished());
        assert!(!self.thread.is_finished(), "the connection has ended");
    }

    fn finish(self) {
        self.expect_progress();
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no connection was dropped");
    }
}

fn is_let_in(client: &Client<'_>, plant: &Plant) -> bool {
    let Ok(stream) = client.connect(plant.address) else { return false };
    let mut raw = Raw::over(stream, V5);
    raw.send(&tidegate_tests::wire::Connect::new(V5, "probe").encode());
    matches!(raw.next(tidegate_tests::eventually::SOON), tidegate_tests::raw::Next::Packet(_))
}

#[test]
fn a_renewed_certificate_is_shown_to_who_comes_next() {
    let plant = Plant::start();
    let issued = plant.device_ca.device("sensor");
    let steady = Steady::start(&plant, &issued);
    let home = plant.gateway.home().path().to_owned();
    let renewed = plant.server_ca.server();
    renewed.write(&home, "gw");
    plant.gateway.expect_log(&[IN_USE]);
    let stream = plant.client(&issued).connect(plant.address).unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap()[0], renewed.certificate);
    steady.finish();
    plant.gateway.stop();
}

#[test]
fn files_that_do_not_go_together_change_nothing_and_are_told_once() {
    let plant = Plant::start();
    let issued = plant.device_ca.device("sensor");
    let steady = Steady::start(&plant, &issued);
    let renewed = plant.server_ca.server();
    plant.replace("gw.pem", &renewed.certificate_pem);
    plant.gateway.expect_log(&["ERROR", "does not belong to the certificate"]);
    assert!(is_let_in(&plant.client(&issued), &plant));
    assert_eq!(plant.count("tls_files_refused"), 1);
    // The second half of the renewal.
    plant.replace("gw.key", &renewed.key_pem);
    plant.gateway.expect_log(&[IN_USE]);
    assert_eq!(plant.gateway.log().count(|line| line.contains("does not belong to the certificate")), 1);
    assert_eq!(plant.count("tls_files_refused"), 0);
    steady.finish();
    plant.gateway.stop();
}

#[test]
fn another_ca_lets_others_in_and_no_longer_those_of_the_old_one() {
    let plant = Plant::start();
    let new_ca = Authority::new("new CA");
    let (old, new) = (plant.device_ca.device("old"), new_ca.device("new"));
    let steady = Steady::start(&plant, &old);
    assert!(!is_let_in(&plant.client(&new), &plant));
    plant.replace("devices.crl", &(plant.device_ca.revoke(&[666], 30) + &new_ca.revoke(&[666], 30)));
    plant.gateway.expect_log(&[IN_USE]);
    plant.replace("devices.pem", &format!("{}{}", plant.device_ca.pem, new_ca.pem));
    plant.gateway.expect_log_times(2, &[IN_USE]);
    assert!(is_let_in(&plant.client(&new), &plant) && is_let_in(&plant.client(&old), &plant));
    plant.replace("devices.pem", &new_ca.pem);
    plant.gateway.expect_log_times(3, &[IN_USE]);
    assert!(is_let_in(&plant.client(&new), &plant));
    assert!(!is_let_in(&plant.client(&old), &plant));
    steady.finish();
    plant.gateway.stop();
}

#[test]
fn a_new_revocation_list_keeps_out_who_was_good_before() {
    let plant = Plant::start();
    let (lost, kept) = (
        plant.device_ca.sign(&Leaf { common_names: &["lost"], serial: 8, ..Leaf::default() }),
        plant.device_ca.sign(&Leaf { common_names: &["kept"], serial: 9, ..Leaf::default() }),
    );
    let steady = Steady::start(&plant, &kept);
    assert!(is_let_in(&plant.client(&lost), &plant));
    plant.replace("devices.crl", &plant.device_ca.revoke(&[8, 666], 30));
    plant.gateway.expect_log(&[IN_USE]);
    assert!(!is_let_in(&plant.client(&lost), &plant));
    plant.gateway.expect_log(&["no TLS connection", "has been revoked"]);
    assert!(is_let_in(&plant.client(&kept), &plant));
    steady.finish();
    plant.gateway.stop();
}
