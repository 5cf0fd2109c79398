//! The two halves over a pipe that takes few bytes at a time.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

fn open(pipe: usize, early: &[u8]) -> (DuplexStream, WebSocket<DuplexStream>) {
    let (near, far) = tokio::io::duplex(pipe);
    (near, WebSocket::new(far, BytesMut::from(early)))
}

#[tokio::test]
async fn what_came_with_the_request_is_read_first() {
    let early = [frame(BINARY, [5; 4], b"early"), frame(BINARY, [6; 4], b", in part")].concat();
    let (early, late) = early.split_at(early.len() - 4);
    let (mut client, socket) = open(100, early);
    client.write_all(late).await.unwrap();
    let mut heard = [0; 14];
    socket.halves().0.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"early, in part");
}

#[tokio::test]
async fn a_ping_is_answered_while_nothing_is_written_and_never_within_a_frame() {
    let (client, socket) = open(16, b"");
    let (mut reader, mut writer) = socket.halves();
    let (mut near_reader, mut near_writer) = tokio::io::split(client);
    let answer = vec![b'a'; 1_000];
    let server = async {
        // As a connection does: both at once, in one task.
        let mut ignored = [0; 64];
        tokio::select! {
            biased;
            written = writer.write_all(&answer) => written.unwrap(),
            _ = async { while reader.read(&mut ignored).await.unwrap() > 0 {} } => panic!("nothing was said"),
        }
        assert!(reader.read(&mut ignored).await.unwrap() > 0);
        drop((reader, writer, socket));
    };
    let write = async {
        for number in 0..3_u8 {
            near_writer.write_all(&frame(PING, [number; 4], &[number])).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        near_writer.write_all(&frame(PING, [3; 4], &[3])).await.unwrap();
        near_writer.write_all(&frame(BINARY, [3; 4], b"end")).await.unwrap();
    };
    let read = async {
        let mut heard = Vec::new();
        near_reader.read_to_end(&mut heard).await.unwrap();
        frames(&heard)
    };
    let ((), (), heard) = tokio::join!(server, write, read);
    let data: Vec<u8> =
        heard.iter().filter(|(first, _)| *first == BINARY).flat_map(|(_, payload)| payload.clone()).collect();
    assert_eq!(data, vec![b'a'; 1_000]);
    assert_eq!(heard.last(), Some(&(PONG, vec![3])));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_no_pong_is_owed_one_and_is_read_all_the_same() {
    let (mut client, socket) = open(64, b"");
    let (mut reader, _writer) = socket.halves();
    let flood = async {
        for _ in 0..100 {
            for _ in 0..100 {
                client.write_all(&frame(PING, [1; 4], &[b'p'; 100])).await.unwrap();
            }
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
        client.write_all(&frame(BINARY, [1; 4], b"done")).await.unwrap();
    };
    let mut heard = [0; 4];
    let (_, read) = tokio::join!(flood, reader.read_exact(&mut heard));
    read.unwrap();
    assert_eq!(&heard, b"done");
}

#[tokio::test]
async fn frames_that_carry_nothing_have_a_bound_and_the_empty_end_of_a_message_is_none_of_them() {
    for nothing in [frame(PING, [1; 4], b""), frame(PONG, [1; 4], b"x"), frame(BINARY, [1; 4], b"")] {
        let (mut client, socket) = open(100_000, b"");
        client.write_all(&nothing.repeat(110)).await.unwrap();
        let mut heard = Vec::new();
        socket.halves().0.read_to_end(&mut heard).await.unwrap();
        assert!(heard.is_empty() && socket.fault().unwrap().contains("carry nothing"));
    }
    let (mut client, socket) = open(100_000, b"");
    let message = [frame(0x02, [1; 4], b"x"), frame(0x80, [1; 4], b"")].concat();
    client.write_all(&message.repeat(1_000)).await.unwrap();
    let mut heard = [0; 1_000];
    socket.halves().0.read_exact(&mut heard).await.unwrap();
    assert_eq!((heard, socket.fault()), ([b'x'; 1_000], None));
}

#[tokio::test]
async fn a_close_is_answered_and_then_the_stream_is_at_its_end() {
    let (mut client, socket) = open(100, b"");
    let (mut reader, mut writer) = socket.halves();
    client.write_all(&frame(BINARY, [1; 4], b"bye")).await.unwrap();
    client.write_all(&frame(CLOSE, [1; 4], &1000_u16.to_be_bytes())).await.unwrap();
    let mut heard = Vec::new();
    reader.read_to_end(&mut heard).await.unwrap();
    assert_eq!((&heard[..], socket.fault()), (&b"bye"[..], None));
    assert!(writer.write_all(b"too late").await.is_err());
    socket.finish().await;
    drop((reader, writer));
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(frames(&answer), [(CLOSE, 1000_u16.to_be_bytes().to_vec())]);
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_go_gets_a_close_frame_and_a_second_to_answer_it() {
    let (mut client, socket) = open(100, b"");
    let begun = tokio::time::Instant::now();
    socket.finish().await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "it has not answered");
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(frames(&heard), [(CLOSE, 1000_u16.to_be_bytes().to_vec())]);

    let (mut client, socket) = open(100, b"");
    client.write_all(&frame(CLOSE, [1; 4], b"")).await.unwrap();
    let begun = tokio::time::Instant::now();
    socket.finish().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "it has answered");
}

#[tokio::test]
async fn a_fault_is_closed_with_its_code_and_can_be_told() {
    let (mut client, socket) = open(100, b"");
    client.write_all(&frame(0x81, [1; 4], b"text")).await.unwrap();
    let (mut reader, writer) = socket.halves();
    assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0);
    assert!(socket.fault().unwrap().contains("text frame"));
    drop((reader, writer, socket));
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).await.unwrap();
    assert_eq!(frames(&heard), [(CLOSE, 1003_u16.to_be_bytes().to_vec())]);
}

#[tokio::test]
async fn bytes_written_in_any_pieces_arrive_as_they_are() {
    for pipe in [1, 3, 100, 100_000] {
        let (mut client, socket) = open(pipe, b"");
        let (reader, mut writer) = socket.halves();
        let bytes: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
        let write = async {
            for piece in bytes.chunks(9_973) {
                writer.write_all(piece).await.unwrap();
            }
            writer.shutdown().await.unwrap();
        };
        let read = async {
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let ((), heard) = tokio::join!(write, read);
        drop(reader);
        let mut found = frames(&heard);
        assert_eq!(found.pop().map(|(first, _)| first), Some(CLOSE));
        assert!(found.iter().all(|(first, _)| *first == BINARY), "in pipes of {pipe}");
        assert_eq!(found.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<_>>(), bytes);
    }
}
