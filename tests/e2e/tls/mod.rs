//! A listener with TLS: who is let in, who is not and how that is said, and files that change meanwhile.

mod attacks;
mod checked;
mod flow;
mod others;
mod passphrase;
mod slow;
mod small;
mod swapped;

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::gateway::{Gateway, Home, Launch, address};
use tidegate_tests::tls::{Authority, Client, Issued, replace};

/// A gateway with one listener for devices that have certificates, beside the plain one of all tests.
struct Plant {
    gateway: Gateway,
    /// Where certificates are shown.
    address: SocketAddr,
    /// Of the gateway.
    server_ca: Authority,
    /// Of devices.
    device_ca: Authority,
}

/// What `tls` of the listener has beside certificate and key, and what stands below it.
const MUTUAL: &str = ", client_ca = \"devices.pem\", crl = \"devices.crl\"";
const CERTIFICATE: &str = "auth = \"certificate\"\n";

// === impl Plant ===

impl Plant {
    fn start() -> Self {
        Self::with(MUTUAL, CERTIFICATE, "", &Launch::default())
    }

    fn with(tls: &str, auth: &str, config: &str, how: &Launch) -> Self {
        let (server_ca, device_ca) = (Authority::new("server CA"), Authority::new("device CA"));
        let home = home(tls, auth, config);
        server_ca.server().write(home.path(), "gw");
        replace(&home.path().join("devices.pem"), &device_ca.pem);
        replace(&home.path().join("devices.crl"), &device_ca.revoke(&[666], 30));
        let gateway = Gateway::launch(&Arc::new(home), how);
        let here = |line: &str| if line.contains("listener=devices") { address(line) } else { None };
        let address = eventually("the listener with TLS", SOON, || gateway.log().find(here));
        Self { gateway, address, server_ca, device_ca }
    }

    /// A client that knows the gateway, and shows this.
    fn client<'a>(&'a self, shows: &'a Issued) -> Client<'a> {
        Client::new(&self.server_ca).showing(shows)
    }

    /// Puts another file in the place of the one that is there.
    fn replace(&self, file: &str, text: &str) {
        replace(&self.gateway.home().path().join(file), text);
    }

    /// What the listener has counted.
    fn count(&self, metric: &str) -> u64 {
        let finished = self.gateway.home().tidegate("status", &["--format", "json"]);
        let status: serde_json::Value = serde_json::from_str(&finished.out).expect("JSON");
        let families = status["metrics"].as_array().expect("families");
        let name = format!("tidegate_listener_{metric}");
        let family = families.iter().find(|family| family["name"] == name.as_str());
        let samples = family.unwrap_or_else(|| panic!("no metric {name}"))["samples"].as_array().expect("samples");
        let of_devices = samples.iter().find(|sample| sample["labels"]["listener"] == "devices");
        of_devices.map_or(0, |sample| sample["value"].as_f64().unwrap_or_default() as u64)
    }

    fn expect_count(&self, metric: &str, count: u64) {
        eventually(&format!("{metric} = {count}"), SOON, || (self.count(metric) == count).then_some(()));
    }
}

fn home(tls: &str, auth: &str, config: &str) -> Home {
    let listener = format!(
        "[broker.listeners.devices]\nbind = \"127.0.0.1:0\"\ntls = {{ cert = \"gw.pem\", key = \"gw.key\"{tls} }}\n{auth}\n"
    );
    Home::new(&format!("{listener}{config}"))
}
