//! Clients with the TLS of small devices, as the distribution has it: wolfSSL, mbedTLS and BearSSL, each a program of some lines in C.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::gateway::Launch;
use tidegate_tests::process::{Finished, finish};
use tidegate_tests::tls::replace;

use super::{CERTIFICATE, MUTUAL, Plant};

/// A library, and what a program of it is linked with.
struct Library {
    name: &'static str,
    links: &'static [&'static str],
}

const WOLFSSL: Library = Library { name: "wolfssl", links: &["-lwolfssl"] };
const MBEDTLS: Library = Library { name: "mbedtls", links: &["-lmbedtls", "-lmbedx509", "-lmbedcrypto"] };
const BEARSSL: Library = Library { name: "bearssl", links: &["-lbearssl"] };

// === impl Library ===

impl Library {
    fn compile(&self, folder: &Path) -> PathBuf {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/tls/clients");
        let (source, program) = (sources.join(self.name).with_extension("c"), folder.join(self.name));
        let mut compiler = Command::new("cc");
        let finished = finish("cc", compiler.arg("-o").arg(&program).arg(source).args(self.links));
        assert_eq!(finished.code, Some(0), "the library is installed (`.ci/run` does it): {finished:#?}");
        program
    }

    /// There and back with a message of 3,000 bytes, with this version of TLS 1.
    fn talks(&self, version: &str, plant: &Plant) -> Finished {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = self.compile(folder.path());
        let ca = folder.path().join("ca.pem");
        replace(&ca, &plant.server_ca.pem);
        let (cert, key) = plant.device_ca.device("small").write(folder.path(), "small");
        let mut client = Command::new(program);
        client.arg(plant.address.port().to_string()).arg(version).arg(ca).arg(cert).arg(key).arg(self.name);
        finish(self.name, &mut client)
    }

    fn expect_good(&self, version: &str, plant: &Plant) {
        let finished = self.talks(version, plant);
        assert_eq!(finished.code, Some(0), "{} with TLS 1.{version}: {finished:#?}", self.name);
        plant.gateway.expect_log(&[": connected ", &format!("client={:?}", self.name), "user=\"small\""]);
    }
}

fn plant(max_fragment_size: Option<usize>) -> Plant {
    let more = max_fragment_size.map_or_else(String::new, |size| format!(", max_fragment_size = {size}"));
    Plant::with(&format!("{MUTUAL}{more}"), CERTIFICATE, "", &Launch::default())
}

#[test]
fn wolfssl_and_mbedtls_are_served_by_a_listener_as_it_is() {
    let plant = plant(None);
    WOLFSSL.expect_good("3", &plant);
    WOLFSSL.expect_good("2", &plant);
    MBEDTLS.expect_good("2", &plant);
    plant.gateway.stop();
}

#[test]
fn bearssl_with_small_buffers_needs_records_of_512_bytes() {
    let small = plant(Some(517));
    BEARSSL.expect_good("2", &small);
    WOLFSSL.expect_good("3", &small);
    small.gateway.stop();
    assert_ne!(
        BEARSSL.talks("2", &plant(None)).code,
        Some(0),
        "docs/tls.md says so, and the setting would be of no use"
    );
}

#[test]
fn mbedtls_wants_its_handshake_in_records_of_1024_bytes() {
    let usual = plant(Some(1_029));
    MBEDTLS.expect_good("2", &usual);
    usual.gateway.stop();
    assert_ne!(MBEDTLS.talks("2", &plant(Some(517))).code, Some(0), "docs/tls.md says so");
}
