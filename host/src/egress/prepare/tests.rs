//! Real sockets on the loopback: TLS, a client certificate, and the mistakes that are found before and while connecting.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::egress::client::tests::peer;
use crate::egress::client::{Probed, probe};
use crate::egress::link_error::LinkError;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/egress/testdata").join(name)
}

fn upstream(tls: Option<config::Tls>, port: u16) -> config::Upstream {
    at("localhost", tls, port)
}

fn at(host: &str, tls: Option<config::Tls>, port: u16) -> config::Upstream {
    let addresses = vec![config::Address { host: host.into(), port, tls: tls.is_some() }];
    config::Upstream { tls, addresses, ..peer::spec(crate::mqtt::Version::V311) }
}

/// Tries the one address.
async fn try_out(spec: &config::Upstream) -> Result<Probed, LinkError> {
    let prepared = prepare(spec).unwrap();
    probe(&prepared, &prepared.endpoints()[0]).await
}

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem")).unwrap()).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).allow_unauthenticated();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(file("server.key")).unwrap(),
        );
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// A TLS server for one connection, which accepts any CONNECT. Resolves to whether it saw a client certificate.
async fn serve() -> (u16, tokio::task::JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor().accept(stream).await else { return false };
        let mut connect = [0; 256];
        if stream.read(&mut connect).await.unwrap_or(0) == 0 {
            return false;
        }
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        let _ = stream.read(&mut connect).await;
        stream.get_ref().1.peer_certificates().is_some()
    });
    (port, task)
}

#[tokio::test]
async fn a_server_of_the_given_ca_is_trusted_and_sees_our_certificate_when_there_is_one() {
    let ca = Some(file("ca.pem"));
    let (cert, key) = (Some(file("client.pem")), Some(file("client.key")));
    let pair = config::Tls { ca: ca.clone(), cert, key, ..config::Tls::default() };
    for (tls, has_certificate) in [(pair, true), (config::Tls { ca, ..config::Tls::default() }, false)] {
        let (port, server) = serve().await;
        try_out(&upstream(Some(tls), port)).await.unwrap();
        assert_eq!(server.await.unwrap(), has_certificate);
    }
}

#[tokio::test]
async fn a_server_of_another_ca_or_another_name_is_not_trusted() {
    let (port, _server) = serve().await;
    let other = config::Tls { ca: Some(file("client.pem")), ..config::Tls::default() };
    let error = try_out(&upstream(Some(other), port)).await.unwrap_err();
    assert!(matches!(&error, LinkError::Tls { .. }) && error.to_string().contains("CA that is not trusted"), "{error}");
    assert!(!error.to_string().contains("check the url"), "{error}");

    let (port, _server) = serve().await;
    let tls = Some(config::Tls { ca: Some(file("ca.pem")), ..config::Tls::default() });
    let by_address = at("127.0.0.1", tls, port);
    let error = try_out(&by_address).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = try_out(&upstream(None, port)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("localhost:{port}")), "{error}");
}

/// Says this to whoever connects, and closes.
async fn says(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut heard = [0; 1024];
            let _ = stream.read(&mut heard).await;
            let _ = stream.write_all(words).await;
        }
    });
    port
}

#[tokio::test]
async fn another_protocol_at_the_port_is_called_by_its_name() {
    for (words, expected) in [
        (&b"\x15\x03\x03\0\x02\x02\x46"[..], "speaks TLS on this port, and not MQTT; use `mqtts://`"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP or WebSocket on this port"),
        (b"", "without a word; if it knows MQTT 5 only, set `protocol = 5`"),
    ] {
        let error = try_out(&upstream(None, says(words).await)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // And where we speak TLS.
    let tls = || Some(config::Tls { ca: Some(file("ca.pem")), ..config::Tls::default() });
    for (words, expected) in [
        (&b"\x20\x02\0\x01"[..], "does not speak TLS on this port"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS on this port"),
        (b"", "is this its port for TLS?"),
    ] {
        let error = try_out(&upstream(tls(), says(words).await)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_of_us_that_the_server_does_not_accept_is_ours() {
    let (port, _server) = serve().await;
    // Of its own: the server trusts the other CA alone.
    let (cert, key) = (Some(file("v1-client.pem")), Some(file("v1-client.key")));
    let tls = config::Tls { ca: Some(file("ca.pem")), cert, key, ..config::Tls::default() };
    let error = try_out(&upstream(Some(tls), port)).await.unwrap_err();
    assert!(error.to_string().contains("the upstream refuses our certificate"), "{error}");
}

#[tokio::test]
async fn a_server_that_lets_anybody_in_is_found_out_where_we_have_credentials() {
    let port = says(&[0x20, 2, 0, 0]).await;
    let spec = config::Upstream { username: Some("gw".into()), ..upstream(None, port) };
    assert_eq!(try_out(&spec).await.unwrap(), Probed::LetsAnybodyIn);
    assert_eq!(try_out(&upstream(None, port)).await.unwrap(), Probed::LetsUsIn);
}

#[test]
fn mistakes_in_files_are_found_before_anything_starts() {
    let tls = |ca: Option<&str>, cert: Option<&str>, key: Option<&str>| {
        Some(config::Tls { ca: ca.map(file), cert: cert.map(file), key: key.map(file), ..config::Tls::default() })
    };
    let cases = [
        (tls(Some("missing.pem"), None, None), "missing.pem"),
        (tls(Some("README.md"), None, None), "holds no PEM `CERTIFICATE` section"),
        (tls(Some("ca.pem"), Some("client.pem"), None), "both `cert` and `key`"),
        (tls(Some("ca.pem"), Some("client.pem"), Some("ca.pem")), "PRIVATE KEY"),
        (tls(Some("ca.pem"), Some("client.pem"), Some("server.key")), "client.pem"),
    ];
    for (tls, expected) in cases {
        let Err(error) = prepare(&upstream(tls, 1)) else { panic!("{expected}: no error") };
        assert!(error.to_string().contains(expected), "{error}");
    }
    let missing = config::Upstream { password_file: Some(file("no.password")), ..upstream(None, 1) };
    assert!(prepare(&missing).is_err_and(|error| error.to_string().contains("no.password")));
}
