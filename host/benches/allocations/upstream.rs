//! An upstream that acknowledges at once, and allocates nothing for a message.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use tidegate_tests::wire::read::frame;

const BUFFER: usize = 256 * 1024;

/// On a port that the kernel chose. Ends with the process.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let (mut input, mut answers) = (vec![0; BUFFER], Vec::with_capacity(BUFFER));
    let mut filled = 0;
    while let Ok(read @ 1..) = stream.read(&mut input[filled..]) {
        filled += read;
        let mut used = 0;
        while let Some((header, body)) = frame(&input[used..filled]) {
            let body_at = used + header;
            answer(input[used], &input[body_at..body_at + body], &mut answers);
            used = body_at + body;
        }
        input.copy_within(used..filled, 0);
        filled -= used;
        if stream.write_all(&answers).is_err() {
            return;
        }
        answers.clear();
    }
}

/// MQTT 3.1.1.
fn answer(first: u8, body: &[u8], answers: &mut Vec<u8>) {
    match (first >> 4, first & 0x06) {
        (1, _) => answers.extend([0x20, 2, 0, 0]),
        (3, qos @ (0x02 | 0x04)) => {
            let id_at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let ack = if qos == 0x02 { 0x40 } else { 0x50 };
            answers.extend([ack, 2, body[id_at], body[id_at + 1]]);
        }
        (6, _) => answers.extend([0x70, 2, body[0], body[1]]),
        (12, _) => answers.extend([0xD0, 0]),
        _ => {}
    }
}
