//! The sender against a model of a correct server, over a network that is cut at random moments.
//!
//! The server is section 4.3 read literally: QoS 1 is delivered on each PUBLISH; QoS 2 on the first PUBLISH with an id
//! that is not stored, the id forgotten on PUBREL. What is under way when the network is cut is lost, in both directions.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::topic::TopicName;

#[derive(Clone, Debug)]
enum Act {
    Send,
    ServerReads,
    ClientReads,
    Cut { keep_session: bool, receive_maximum: u16 },
}

enum ToServer {
    Publish(Publish),
    Release(Ack),
}

enum ToClient {
    Acknowledged(Ack),
    Received(Ack),
    Completed(Ack),
}

/// The spool of the model: messages by position, the cursor, and what is complete.
struct World {
    messages: Vec<Message>,
    cursor: usize,
    complete: HashSet<u64>,
    inflight: Inflight,
    up: VecDeque<ToServer>,
    down: VecDeque<ToClient>,
    stored: HashSet<u16>,
    /// Positions as the server delivered them.
    delivered: Vec<u64>,
    /// Unacknowledged PUBLISHes at the server, and what it allows.
    open: HashSet<u16>,
    receive_maximum: u16,
    sessions_lost: usize,
    doubtful: usize,
}

impl World {
    fn new(qos: Vec<QoS>) -> Self {
        let message =
            |(position, qos): (usize, QoS)| Message::new(TopicName::parse("t").unwrap(), position.to_string(), qos);
        let mut inflight = Inflight::new(4);
        inflight.restart(Window::OPEN);
        Self {
            messages: qos.into_iter().enumerate().map(message).collect(),
            cursor: 0,
            complete: HashSet::new(),
            inflight,
            up: VecDeque::new(),
            down: VecDeque::new(),
            stored: HashSet::new(),
            delivered: Vec::new(),
            open: HashSet::new(),
            receive_maximum: u16::MAX,
            sessions_lost: 0,
            doubtful: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Send => self.send(),
            Act::ServerReads => self.server_reads(),
            Act::ClientReads => self.client_reads(),
            Act::Cut { keep_session, receive_maximum } => self.cut(*keep_session, *receive_maximum),
        }
    }

    fn send(&mut self) {
        if let Some(publish) = self.inflight.next_resend() {
            return self.up.push_back(ToServer::Publish(publish));
        }
        while self.inflight.room() > 0 && self.cursor < self.messages.len() {
            let position = self.cursor as u64;
            self.cursor += 1;
            if self.complete.contains(&position) {
                continue;
            }
            if let Some(publish) = self.inflight.publish(Position(position), self.messages[self.cursor - 1].clone()) {
                return self.up.push_back(ToServer::Publish(publish));
            }
        }
    }

    fn server_reads(&mut self) {
        let ok = |id| Ack { id, reason: Reason::SUCCESS };
        match self.up.pop_front() {
            Some(ToServer::Publish(Publish { id, message, .. })) => {
                let position = String::from_utf8_lossy(&message.payload).parse().unwrap();
                self.open.insert(id);
                assert!(self.open.len() <= self.receive_maximum.into(), "receive maximum exceeded");
                if message.qos == QoS::AtLeastOnce {
                    self.delivered.push(position);
                    self.open.remove(&id);
                    self.down.push_back(ToClient::Acknowledged(ok(id)));
                } else {
                    if self.stored.insert(id) {
                        self.delivered.push(position);
                    }
                    self.down.push_back(ToClient::Received(ok(id)));
                }
            }
            Some(ToServer::Release(ack)) => {
                self.stored.remove(&ack.id);
                self.open.remove(&ack.id);
                self.down.push_back(ToClient::Completed(ok(ack.id)));
            }
            None => {}
        }
    }

    fn client_reads(&mut self) {
        let step = match self.down.pop_front() {
            Some(ToClient::Acknowledged(ack)) => self.inflight.on_puback(ack),
            Some(ToClient::Received(ack)) => self.inflight.on_pubrec(ack),
            Some(ToClient::Completed(ack)) => self.inflight.on_pubcomp(ack),
            None => return,
        };
        match step {
            Step::Done { position, .. } => assert!(self.complete.insert(position.0), "completed twice"),
            Step::Release(ack) => {
                assert_eq!(ack.reason, Reason::SUCCESS, "the server only acks what we sent");
                self.up.push_back(ToServer::Release(ack));
            }
            Step::Nothing | Step::Reset => {}
        }
    }

    fn cut(&mut self, keep_session: bool, receive_maximum: u16) {
        self.up.clear();
        self.down.clear();
        self.open.clear();
        self.receive_maximum = receive_maximum;
        let window = Window { all: receive_maximum, ..Window::OPEN };
        if keep_session {
            let releases = self.inflight.resume(window);
            self.up.extend(releases.into_iter().map(ToServer::Release));
        } else {
            self.stored.clear();
            self.cursor = 0;
            self.sessions_lost += 1;
            self.doubtful += self.inflight.restart(window);
        }
    }

    /// The network heals: everything must come to its end.
    fn heal(&mut self) {
        for _ in 0..self.messages.len() * 8 + 100 {
            self.send();
            self.server_reads();
            self.client_reads();
        }
    }

    fn first_deliveries(&self, qos: QoS) -> Vec<u64> {
        let mut seen = HashSet::new();
        let of = |position: &&u64| self.messages[**position as usize].qos == qos;
        self.delivered.iter().filter(of).copied().filter(|position| seen.insert(*position)).collect()
    }

    fn duplicates(&self, qos: QoS) -> usize {
        let all = self.delivered.iter().filter(|position| self.messages[**position as usize].qos == qos).count();
        all - self.first_deliveries(qos).len()
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let cut = (prop::bool::weighted(0.8), 1..6_u16);
    let act = prop_oneof![
        6 => Just(Act::Send),
        6 => Just(Act::ServerReads),
        6 => Just(Act::ClientReads),
        2 => cut.prop_map(|(keep_session, receive_maximum)| Act::Cut { keep_session, receive_maximum }),
    ];
    prop::collection::vec(act, 0..300)
}

fn qos() -> impl Strategy<Value = Vec<QoS>> {
    prop::collection::vec(prop::sample::select(vec![QoS::AtLeastOnce, QoS::ExactlyOnce]), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_lost_order_holds_and_qos_2_arrives_once(qos in qos(), acts in acts()) {
        let mut world = World::new(qos);
        acts.iter().for_each(|act| world.act(act));
        world.heal();
        prop_assert_eq!(world.complete.len(), world.messages.len(), "lost, or never completed");
        prop_assert!(world.inflight.is_empty());
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let all = (0..world.messages.len() as u64).filter(|position| world.messages[*position as usize].qos == qos);
            prop_assert_eq!(world.first_deliveries(qos), all.collect::<Vec<_>>(), "lost or out of order");
        }
        prop_assert!(world.duplicates(QoS::ExactlyOnce) <= world.doubtful, "a QoS 2 duplicate that was not counted");
        prop_assert!(world.sessions_lost > 0 || world.duplicates(QoS::ExactlyOnce) == 0);
    }
}
