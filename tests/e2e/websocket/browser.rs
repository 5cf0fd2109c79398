//! MQTT.js in a real Chromium without a window: its page comes from a server of the test, and says how it went there.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::Authority;
use tidegate_tests::wire::V5;

use super::programs::{script, tool};

/// A browser takes a second to start, on a machine that has other things to do some more.
const PATIENCE: Duration = Duration::from_secs(60);

const CHROMIUM: &str = "chromium-headless-shell";

/// A server of pages: `said` is what they post.
struct Pages {
    address: SocketAddr,
    said: Receiver<String>,
}

impl Pages {
    fn serve(page: String, library: Vec<u8>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (tell, said) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                answer(stream, &page, &library, &tell);
            }
        });
        Self { address, said }
    }
}

/// Enough of HTTP for one browser.
fn answer(mut stream: TcpStream, page: &str, library: &[u8], tell: &Sender<String>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut chunk).unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split_whitespace().nth(1).and_then(|target| target.split('?').next());
    let (kind, content) = match path {
        Some("/mqtt.js") => ("text/javascript", library),
        Some("/") => ("text/html", page.as_bytes()),
        Some("/said") => {
            let _ = tell.send(body);
            ("text/plain", &b""[..])
        }
        _ => ("text/plain", &b""[..]),
    };
    let length = content.len();
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(content);
}

fn browse(url: &str) -> (Process, tempfile::TempDir) {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(CHROMIUM);
    // Tests run as root in containers, where its own sandbox does not.
    command.args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"]);
    // It does not know the CA of a test.
    command.arg("--ignore-certificate-errors");
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    (Process::start(CHROMIUM, &mut command), profile)
}

#[test]
fn mqtt_js_in_chromium_is_served_when_its_page_is_listed_and_kept_out_when_not() {
    let library = fs::read(tool("node/node_modules/mqtt/dist/mqtt.min.js")).expect("a file that is there");
    let page = fs::read_to_string(script("page.html")).expect("a file of the checkout");
    // The gateway has to know the page's port, and the page the gateway's: the first is asked for in its query.
    let pages = Pages::serve(page, library);
    let origin = format!("http://{}", pages.address);
    let listener = |name: &str, origins: &str| {
        format!("[broker.listeners.{name}]\nbind = \"127.0.0.1:0\"\ntransport = \"websocket\"\norigins = [{origins}]\n")
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cert, key) = Authority::new("CA").server().write(folder.path(), "gw");
    let tls = listener("tls", &format!("{origin:?}")) + &format!("tls = {{ cert = {cert:?}, key = {key:?} }}\n");
    let closed = listener("closed", "\"https://elsewhere.example\"");
    let config = listener("listed", &format!("{origin:?}")) + &tls + &closed;
    let gateway = Gateway::start(&config);
    let mut subscriber = Raw::clean(gateway.listener("local"), V5, "subscriber");
    subscriber.subscribe("from/#", 0);
    let [listed, tls, closed] = ["listed", "tls", "closed"].map(|name| gateway.listener(name).port());
    let (_browser, _profile) = browse(&format!("{origin}/?listed={listed}&tls={tls}&closed={closed}"));
    let said = pages.said.recv_timeout(PATIENCE).expect("the page says how it went");
    assert_eq!(said, "listed: heard 9 of 9; tls: heard 9 of 9; closed: refused");
    let lengths: Vec<_> = (0..18).map(|_| subscriber.expect_delivery().payload.len()).collect();
    assert_eq!(lengths.iter().filter(|length| **length == 200_000).count(), 6);
    gateway.expect_log(&["listener=closed", "connection refused", &format!("origins = [{origin:?}]")]);
    gateway.stop();
}
