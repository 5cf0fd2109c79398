//! One client of the server, on a thread of its own.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::Shared;
use crate::wire::Packet;

/// Until the client leaves or the line breaks. What it says is taken before it is answered, so that an answer that does
/// not get through changes nothing.
pub fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let Some(connect) = next(&mut stream, &mut buffer) else { return };
    let Ok(handle) = stream.try_clone() else { return };
    if shared.state().away {
        return;
    }
    let (client, connack) = shared.state().connect(&connect, handle);
    let mut alive = stream.write_all(&connack).is_ok();
    while alive && let Some(packet) = next(&mut stream, &mut buffer) {
        let Some(answer) = shared.state().answer(&client, &packet) else { break };
        alive = stream.write_all(&answer).is_ok();
    }
    shared.state().disconnected(&client);
}

fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Packet> {
    loop {
        if let Some(packet) = Packet::take(buffer) {
            return Some(packet);
        }
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(count) => buffer.extend(&bytes[..count]),
        }
    }
}
