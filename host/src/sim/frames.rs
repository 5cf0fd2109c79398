//! A device that speaks through frames of WebSocket: what stands between it and the gateway.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};

use super::dice::Dice;
use crate::ingress::websocket::tests::{BINARY, CLOSE, PING, frame};

/// The longest header that a gateway writes.
const MAX_HEADER: usize = 4;

/// Pings of one connection: it breaks no bound of the gateway, however much it says in a short time.
const MOST_PINGS: usize = 50;

/// Gives the device's end. It closes when the device or the gateway has, with everything that was said before.
pub fn in_frames(gateway: DuplexStream, capacity: usize, mut dice: Dice) -> DuplexStream {
    let (near, far) = tokio::io::duplex(capacity);
    let ((from_device, to_device), (from_gateway, to_gateway)) = (tokio::io::split(far), tokio::io::split(gateway));
    tokio::spawn(async move {
        tokio::select! {
            () = up(from_device, to_gateway, &mut dice) => {}
            () = down(from_gateway, to_device) => {}
        }
    });
    near
}

/// In frames of any length, in messages of any number of them, with pings between.
async fn up(mut device: ReadHalf<DuplexStream>, mut gateway: WriteHalf<DuplexStream>, dice: &mut Dice) {
    let (mut in_message, mut pings) = (false, 0);
    loop {
        let mut bytes = vec![0; *dice.pick(&[1, 2, 17, 300, 70_000])];
        let Ok(read @ 1..) = device.read(&mut bytes).await else { return };
        let is_last = *dice.pick(&[true, false]);
        let opcode = if in_message { 0 } else { BINARY & 0x0F };
        let mut sent = frame(u8::from(is_last) << 7 | opcode, [0x5A, read as u8, 3, 0xC4], &bytes[..read]);
        in_message = !is_last;
        if *dice.pick(&[false, false, true]) && pings < MOST_PINGS {
            pings += 1;
            sent.extend(frame(PING, [1, 2, 3, 4], b"sim"));
        }
        if gateway.write_all(&sent).await.is_err() {
            return;
        }
    }
}

async fn down(mut gateway: ReadHalf<DuplexStream>, mut device: WriteHalf<DuplexStream>) {
    let mut unread = BytesMut::new();
    while let Ok(1..) = gateway.read_buf(&mut unread).await {
        while let Some((first, payload)) = take(&mut unread) {
            let goes_on = match first {
                BINARY => device.write_all(&payload).await.is_ok(),
                CLOSE => false,
                _ => true,
            };
            if !goes_on {
                return;
            }
        }
    }
}

fn take(unread: &mut BytesMut) -> Option<(u8, BytesMut)> {
    let &[first, length, ..] = &unread[..] else { return None };
    let (header, length) = match (length, &unread[2..]) {
        (126, [high, low, ..]) => (MAX_HEADER, usize::from(u16::from_be_bytes([*high, *low]))),
        (126, _) => return None,
        (length, _) => (2, usize::from(length)),
    };
    if unread.len() < header + length {
        return None;
    }
    let frame = unread.split_to(header + length);
    Some((first, BytesMut::from(&frame[header..])))
}
