use std::time::Duration;

use tidegate_tests::tls::{Authority, Client};
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::{Identity, ListenerTls};
use crate::tls::server;

#[tokio::test]
async fn what_a_device_does_not_read_is_not_held_without_end() {
    let (authority, folder) = (Authority::new("ca"), tempfile::tempdir().unwrap());
    let (cert, key) = authority.server().write(folder.path(), "gw");
    let identity = Identity::CommonName;
    let tls = ListenerTls {
        cert,
        key,
        key_passphrase_file: None,
        client_ca: None,
        crl: None,
        identity,
        max_fragment_size: None,
    };
    let config = server::load(&tls, &[]).unwrap().config;
    let (near, far) = duplex(1_024);
    let client = TlsConnector::from(Client::new(&authority).config());
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let (accepted, connected) = tokio::join!(TlsAcceptor::from(config).accept(near), client.connect(name, far));
    let (mut stream, _silent) = (accepted.unwrap(), connected.unwrap());
    bound(&mut stream);
    let mut taken = 0;
    while let Ok(wrote) = tokio::time::timeout(Duration::from_millis(50), stream.write(&[0; 64 * 1024])).await {
        taken += wrote.unwrap();
        assert!(taken <= 2 * HELD_BYTES, "{taken}");
    }
    assert!(taken >= HELD_BYTES / 2, "{taken}");
}
