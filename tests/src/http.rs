//! HTTP as whoever watches a gateway speaks it: one request, one answer, and then the connection ends.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::eventually::SOON;

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// The body of `path`.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, "")
}

/// With more lines in the head, each with its end.
pub fn get_with(address: SocketAddr, path: &str, lines: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n");
    let answered = speak(address, request.as_bytes()).expect("an answer");
    Answer::parse(&answered).unwrap_or_else(|| panic!("no answer: {answered}"))
}

/// Sends these bytes and reads to the end of the connection.
pub fn speak(address: SocketAddr, bytes: &[u8]) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(bytes)?;
    read(&mut stream)
}

/// To the end of the connection.
pub fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // What it did not read of ours.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !answer.is_empty() => {}
        read => drop(read?),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

// === impl Answer ===

impl Answer {
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
    }
}
