//! Clients that other people wrote, in both roles.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS as QoS5;
use rumqttc::{Event, Packet, QoS};
use tidegate_tests::device::Device;
use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{V4, V5};

const MESSAGES: usize = 50;

#[test]
fn rumqttc_speaks_3_1_1_with_itself_through_the_gateway() {
    let gateway = Gateway::start("");
    let mut options = rumqttc::MqttOptions::new("rumqttc", "127.0.0.1", gateway.address().port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut connection) = rumqttc::Client::new(options, 2 * MESSAGES);
    client.subscribe("t", QoS::ExactlyOnce).unwrap();
    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
    for number in 0..MESSAGES {
        client.publish("t", qos[number % 3], false, number.to_string()).unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < MESSAGES {
        let event = connection.recv_timeout(SOON).expect("an event in time").expect("a connection that stays");
        if let Event::Incoming(Packet::Publish(publish)) = event {
            heard.push((String::from_utf8_lossy(&publish.payload).into_owned(), publish.qos));
        }
    }
    let expected: Vec<_> = (0..MESSAGES).map(|number| (number.to_string(), qos[number % 3])).collect();
    assert_eq!(heard, expected);
    gateway.stop();
}

#[test]
fn a_bridge_of_mosquitto_connects_with_the_will_that_it_has_by_itself() {
    for version in ["mqttv311", "mqttv50"] {
        let gateway = Gateway::start("");
        let mut listener = Raw::clean(gateway.address(), V5, "listener");
        listener.subscribe("t", 1);
        let settings = format!("bridge_protocol_version {version}\ntopic # out 1\n");
        let bridge = Mosquitto::notifying_bridge(gateway.address(), &settings);
        Raw::clean(bridge.address(), V4, "device").publish("t", version, 1);
        let heard = listener.expect_delivery();
        assert_eq!(heard.payload, version);
        listener.acknowledge(&heard);
    }
}

#[test]
fn rumqttc_speaks_mqtt_5_with_itself_through_the_gateway() {
    use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
    use rumqttc::v5::{Client, Event, MqttOptions};

    let gateway = Gateway::start("");
    let mut options = MqttOptions::new("rumqttc", "127.0.0.1", gateway.address().port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut connection) = Client::new(options, 2 * MESSAGES);
    client.subscribe("t", QoS5::ExactlyOnce).unwrap();
    let qos = [QoS5::AtMostOnce, QoS5::AtLeastOnce, QoS5::ExactlyOnce];
    for number in 0..MESSAGES {
        let properties = PublishProperties { content_type: Some("text/plain".into()), ..PublishProperties::default() };
        client.publish_with_properties("t", qos[number % 3], false, number.to_string(), properties).unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < MESSAGES {
        let event = connection.recv_timeout(SOON).expect("an event in time").expect("a connection that stays");
        if let Event::Incoming(Packet::Publish(publish)) = event {
            let content_type = publish.properties.and_then(|properties| properties.content_type);
            assert_eq!(content_type.as_deref(), Some("text/plain"));
            heard.push((String::from_utf8_lossy(&publish.payload).into_owned(), publish.qos));
        }
    }
    let expected: Vec<_> = (0..MESSAGES).map(|number| (number.to_string(), qos[number % 3])).collect();
    assert_eq!(heard, expected);
    gateway.stop();
}

#[test]
fn mosquitto_publishes_and_subscribes() {
    let gateway = Gateway::start("");
    let sink = Sink::subscribe(gateway.address(), "site/#");
    for (protocol, qos) in [(4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)] {
        let lines: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
        Device::new("device", gateway.address(), protocol).qos(qos).publish(&format!("site/{protocol}/{qos}"), &lines);
    }
    let arrivals = sink.wait_for(6 * MESSAGES);
    for (protocol, qos) in [(4, 0), (4, 1), (4, 2), (5, 0), (5, 1), (5, 2)] {
        let topic = format!("site/{protocol}/{qos}");
        let heard: Vec<_> = arrivals.iter().filter(|arrival| arrival.topic == topic).collect();
        assert!(heard.iter().all(|arrival| arrival.qos == qos), "{topic}");
        let payloads: Vec<_> = heard.iter().map(|arrival| arrival.payload.clone()).collect();
        assert_eq!(payloads, (0..MESSAGES).map(|number| number.to_string()).collect::<Vec<_>>(), "{topic}");
    }
    gateway.stop();
}
