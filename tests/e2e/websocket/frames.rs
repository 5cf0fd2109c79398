//! Scripted clients: what frames may do, and what they may not.

use std::time::Duration;

use tidegate_tests::device::Device;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::websocket::{BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Tunnel, WebSocket, frame};
use tidegate_tests::wire::{self, Connect, V4, V5, Will};

use super::Web;

fn greeted(web: &Web, connect: &Connect) -> WebSocket {
    let mut socket = WebSocket::open(web.web);
    socket.send_frame(BINARY, &connect.encode());
    assert_eq!(socket.expect_packet(wire::CONNACK).reason(), 0);
    socket
}

#[test]
fn packets_may_be_cut_into_frames_anywhere_and_share_them() {
    let web = Web::start("");
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("t/#", 1);
    let mut socket = WebSocket::open(web.web);
    // Each byte in a frame of its own, all of them one message, with a ping in it.
    let connect = Connect::new(V4, "device").encode();
    for (index, byte) in connect.iter().enumerate() {
        let opcode = if index == 0 { BINARY & 0x0F } else { CONTINUATION };
        let is_last = index + 1 == connect.len();
        socket.send_frame(u8::from(is_last) << 7 | opcode, &[*byte]);
        if index == 5 {
            socket.send_frame(PING, b"within");
        }
    }
    assert_eq!(socket.expect(PONG), b"within");
    assert_eq!(socket.expect_packet(wire::CONNACK).reason(), 0);
    let publish = |id: u16| wire::publish(V4, &format!("t/{id}"), "x").qos(1, id).encode();
    // Two packets and a half in one frame, the other half in the next.
    let three = [publish(1), publish(2), publish(3)].concat();
    let cut = three.len() - 4;
    socket.send(&[frame(BINARY, &three[..cut]), frame(BINARY, b""), frame(BINARY, &three[cut..])].concat());
    for id in 1..=3 {
        assert_eq!(socket.expect_packet(wire::PUBACK).packet_id(), id);
        assert_eq!(listener.expect_delivery().topic, format!("t/{id}"));
        listener.send(&wire::ack(wire::PUBACK, id));
    }
    web.gateway.stop();
}

#[test]
fn real_clients_are_served_through_frames_of_any_size_at_each_qos() {
    let web = Web::start("");
    for (bytes, name) in [(1, "one"), (7, "seven"), (100_000, "all")] {
        let tunnel = Tunnel::to(web.web, bytes);
        let sink = Sink::subscribe(tunnel.address(), &format!("{name}/#"));
        for (protocol, qos) in [(4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)] {
            // The largest is longer than a frame that the gateway writes.
            let lines = ["small".to_owned(), "x".repeat(20_000), "y".repeat(150_000)];
            let device = Device::new(&format!("{name}{protocol}{qos}"), tunnel.address(), protocol).qos(qos);
            device.publish(&format!("{name}/{protocol}/{qos}"), &lines);
        }
        let mut heard: Vec<_> = sink.wait_for(18).iter().map(|arrival| arrival.payload.len()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [[5; 6], [20_000; 6], [150_000; 6]].concat());
    }
    web.gateway.stop();
}

#[test]
fn pings_that_do_not_end_are_no_way_around_the_limits_of_a_client_and_usual_ones_are_answered() {
    let web = Web::start("[broker.limits]\nmax_bytes_per_second = \"1KiB\"\n");
    let mut usual = greeted(&web, &Connect::new(V5, "usual"));
    for number in 0..50 {
        usual.send_frame(PING, &[number]);
        assert_eq!(usual.expect(PONG), [number]);
    }
    let mut flood = greeted(&web, &Connect::new(V5, "flood"));
    flood.send(&frame(PING, &[0; 100]).repeat(1_000));
    let code = loop {
        match flood.next_frame() {
            Some(pong) if pong.first == PONG => {}
            Some(close) if close.first == CLOSE => break close.payload,
            other => panic!("neither a pong nor an end: {other:?}"),
        }
    };
    assert_eq!(code, 1008_u16.to_be_bytes());
    web.gateway.expect_log(&["connection refused", "listener=web", "carry nothing"]);
    usual.send_frame(BINARY, wire::PING);
    usual.expect_packet(wire::PINGRESP);
    web.gateway.stop();
}

#[test]
fn a_text_frame_and_what_breaks_the_framing_is_closed_with_its_code_and_told() {
    let web = Web::start("");
    for (bytes, code, words) in [
        (frame(TEXT, &Connect::new(V5, "t").encode()), 1003, "a text frame: MQTT is sent in binary ones"),
        (vec![BINARY, 2, b'n', b'o'], 1002, "a frame without a mask"),
        (frame(BINARY | 0x40, b"x"), 1002, "an extension that was not agreed to"),
    ] {
        let mut socket = WebSocket::open(web.web);
        socket.send(&bytes);
        assert_eq!(socket.expect_close(), code, "{words}");
        web.gateway.expect_log(&["connection refused", "listener=web", words]);
    }
    // Of one who is known, what came before counts, and the will says that it is gone.
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("t/#", 1);
    let mut socket = greeted(&web, &Connect::new(V5, "known").will(Will::new("t/will", "gone")));
    let publish = wire::publish(V5, "t/last", "heard").encode();
    socket.send(&[frame(BINARY, &publish), frame(TEXT, b"x")].concat());
    assert_eq!(socket.expect_close(), 1003);
    assert_eq!(listener.expect_delivery().payload, "heard");
    assert_eq!(listener.expect_delivery().payload, "gone");
    web.gateway.stop();
}

#[test]
fn pings_of_the_socket_are_answered_and_do_not_stand_for_those_of_mqtt() {
    let web = Web::start("");
    let mut socket = greeted(&web, &Connect::new(V5, "device").keep_alive(1));
    let mut answers = 0;
    let reason = loop {
        socket.send_frame(PING, b"are you there");
        match socket.next_frame() {
            Some(frame) if frame.first == PONG => answers += 1,
            Some(frame) => break frame.payload[2],
            None => panic!("closed without a word"),
        }
        assert!(answers < 1_000, "its keep-alive has long passed");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((reason, answers > 0), (0x8D, true), "Keep Alive timeout");
    web.gateway.stop();
}

#[test]
fn a_close_frame_without_a_goodbye_of_mqtt_is_answered_and_leaves_the_will() {
    let web = Web::start("");
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("t/#", 0);
    let mut socket = greeted(&web, &Connect::new(V5, "device").will(Will::new("t/will", "gone")));
    socket.send_frame(CLOSE, &1001_u16.to_be_bytes());
    assert_eq!(socket.expect_close(), 1001);
    assert_eq!(listener.expect_delivery().payload, "gone");
    web.gateway.stop();
}

#[test]
fn a_goodbye_of_mqtt_is_followed_by_a_close_in_good_order_and_by_no_will() {
    let web = Web::start("");
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("t/#", 0);
    let mut socket = greeted(&web, &Connect::new(V5, "device").will(Will::new("t/will", "gone")));
    socket.send_frame(BINARY, wire::GOODBYE);
    let code = socket.expect(CLOSE);
    assert_eq!(code, 1000_u16.to_be_bytes());
    socket.send_frame(CLOSE, &code);
    assert_eq!(socket.next_frame(), None, "and no reset");
    web.gateway.expect_departure("device");
    listener.expect_quiet();
    web.gateway.stop();
}

#[test]
fn a_gateway_that_stops_says_so_in_both_protocols() {
    let web = Web::start("");
    let mut socket = greeted(&web, &Connect::new(V5, "device"));
    let client = std::thread::spawn(move || {
        let reason = socket.expect_packet(wire::DISCONNECT).reason();
        (reason, socket.expect(CLOSE))
    });
    web.gateway.stop();
    assert_eq!(client.join().expect("a client that hears it"), (0x8B, 1000_u16.to_be_bytes().to_vec()));
}

#[test]
fn a_frame_that_claims_a_terabyte_is_held_to_the_size_of_its_packets() {
    let web = Web::start("");
    let mut socket = greeted(&web, &Connect::new(V5, "device"));
    let before = web.gateway.memory();
    socket.send(&[&[BINARY, 0x80 | 127][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat());
    // Packets in it are served as any others, one after the other.
    for id in 1..=200 {
        socket.send(&wire::publish(V5, "t", "x".repeat(200_000)).qos(1, id).encode());
        assert_eq!(socket.expect_packet(wire::PUBACK).packet_id(), id);
    }
    let grown = web.gateway.memory().saturating_sub(before);
    assert!(grown < 20_000_000, "40 MB of one frame were sent, and the memory has grown by {grown} bytes");
    // A packet beyond the limit of a packet.
    socket.send(b"\x30\xFF\xFF\xFF\x7F");
    assert_eq!(socket.expect_packet(wire::DISCONNECT).reason(), 0x95);
    assert_eq!(socket.expect_close(), 1000);
    web.gateway.stop();
}
