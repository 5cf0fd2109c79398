//! The sender against a model of a correct server, over a network that is cut and in a process that is killed at random
//! moments, with a disk that is late.
//!
//! The server is section 4.3 read literally: QoS 1 is delivered on each PUBLISH; QoS 2 on the first PUBLISH with an id
//! that is not stored, the id forgotten on PUBREL. What is under way when the network is cut is lost, in both directions.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Send,
    ServerReads,
    ClientReads,
    /// The disk has caught up.
    Sync,
    Cut {
        crash: bool,
        keep_session: bool,
        receive_maximum: u16,
    },
}

/// What the spool has been told.
enum Note {
    Done(u64),
    Received(Released),
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

/// The spool of the model: messages by number, the cursor, what is complete, and what of it is durable.
struct World {
    messages: Vec<Message>,
    cursor: usize,
    complete: HashSet<u64>,
    notes: Vec<Note>,
    durable: HashSet<u64>,
    received: Vec<Released>,
    inflight: Inflight,
    up: VecDeque<ToServer>,
    down: VecDeque<ToClient>,
    stored: HashSet<u16>,
    /// Numbers as the server delivered them.
    delivered: Vec<u64>,
    /// Unacknowledged PUBLISHes at the server, and what it allows.
    open: HashSet<u16>,
    receive_maximum: u16,
    cuts: usize,
    crashes: usize,
    sessions_lost: usize,
    doubtful: u64,
}

const WINDOW: u16 = 4;

impl World {
    fn new(qos: Vec<QoS>) -> Self {
        let message =
            |(index, qos): (usize, QoS)| Message::new(TopicName::parse("t").unwrap(), (index + 1).to_string(), qos);
        let mut inflight = Inflight::recover(WINDOW, 0, &[]);
        inflight.restart(Window::OPEN);
        Self {
            messages: qos.into_iter().enumerate().map(message).collect(),
            cursor: 0,
            complete: HashSet::new(),
            notes: Vec::new(),
            durable: HashSet::new(),
            received: Vec::new(),
            inflight,
            up: VecDeque::new(),
            down: VecDeque::new(),
            stored: HashSet::new(),
            delivered: Vec::new(),
            open: HashSet::new(),
            receive_maximum: u16::MAX,
            cuts: 0,
            crashes: 0,
            sessions_lost: 0,
            doubtful: 0,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Send => self.send(),
            Act::ServerReads => self.server_reads(),
            Act::ClientReads => self.client_reads(),
            Act::Sync => self.sync(),
            Act::Cut { crash, keep_session, receive_maximum } => self.cut(*crash, *keep_session, *receive_maximum),
        }
    }

    fn send(&mut self) {
        if let Some(Repeat { publish, .. }) = self.inflight.next_resend(|message| message) {
            return self.up.push_back(ToServer::Publish(publish));
        }
        while self.inflight.room() > 0 && self.cursor < self.messages.len() {
            self.cursor += 1;
            let number = self.cursor as u64;
            if self.complete.contains(&number) {
                continue;
            }
            if let Some(publish) = self.inflight.publish(number, self.messages[self.cursor - 1].clone()) {
                self.doubtful += self.inflight.take_doubtful();
                return self.up.push_back(ToServer::Publish(publish));
            }
        }
    }

    fn server_reads(&mut self) {
        let ok = |id| Ack { packet_id: id, reason: Reason::SUCCESS };
        match self.up.pop_front() {
            Some(ToServer::Publish(Publish { packet_id: id, dup, message })) => {
                let number = String::from_utf8_lossy(&message.payload).parse().unwrap();
                self.open.insert(id);
                assert!(self.open.len() <= self.receive_maximum.into(), "receive maximum exceeded");
                if message.qos == QoS::AtLeastOnce {
                    self.delivered.push(number);
                    self.open.remove(&id);
                    self.down.push_back(ToClient::Acknowledged(ok(id)));
                } else {
                    assert!(dup || !self.stored.contains(&id), "a repeat without DUP");
                    if self.stored.insert(id) {
                        self.delivered.push(number);
                    }
                    self.down.push_back(ToClient::Received(ok(id)));
                }
            }
            Some(ToServer::Release(ack)) => {
                self.stored.remove(&ack.packet_id);
                self.open.remove(&ack.packet_id);
                self.down.push_back(ToClient::Completed(ok(ack.packet_id)));
            }
            None => {}
        }
    }

    fn client_reads(&mut self) {
        let step = match self.down.pop_front() {
            Some(ToClient::Acknowledged(ack)) => self.inflight.hear(Reply::PubAck(ack)),
            Some(ToClient::Received(ack)) => self.inflight.hear(Reply::PubRec(ack)),
            Some(ToClient::Completed(ack)) => self.inflight.hear(Reply::PubComp(ack)),
            None => return,
        };
        match step {
            Step::Done { number, .. } => {
                assert!(self.complete.insert(number), "completed twice");
                self.notes.push(Note::Done(number));
            }
            Step::Receive(released) => self.notes.push(Note::Received(released)),
            Step::Release(ack) => {
                assert_eq!(ack.reason, Reason::SUCCESS, "the server only acks what we sent");
                self.up.push_back(ToServer::Release(ack));
            }
            Step::Nothing | Step::Reset => {}
        }
    }

    fn sync(&mut self) {
        let (mut done, mut received) = (Vec::new(), Vec::new());
        for note in std::mem::take(&mut self.notes) {
            match note {
                Note::Received(released) => {
                    self.received.push(released);
                    received.push(released.number);
                }
                Note::Done(number) => {
                    self.durable.insert(number);
                    done.push(number);
                }
            }
        }
        self.received.retain(|received| !self.durable.contains(&received.number));
        self.up.extend(self.inflight.confirm(done, received).into_iter().map(ToServer::Release));
    }

    fn cut(&mut self, crash: bool, keep_session: bool, receive_maximum: u16) {
        self.cuts += 1;
        if crash {
            self.crashes += 1;
            self.crash();
        }
        self.up.clear();
        self.down.clear();
        self.open.clear();
        self.receive_maximum = receive_maximum;
        let window = Window { all: receive_maximum, ..Window::OPEN };
        if keep_session {
            let releases = self.inflight.resume(window);
            self.up.extend(releases.into_iter().map(ToServer::Release));
        } else {
            self.sync();
            self.up.clear();
            self.received.clear();
            self.stored.clear();
            self.cursor = 0;
            self.sessions_lost += 1;
            self.inflight.restart(window);
        }
    }

    /// Another process begins with what is durable.
    fn crash(&mut self) {
        self.notes.clear();
        self.complete = self.durable.clone();
        self.cursor = 0;
        let incomplete = (1..).filter(|number| !self.durable.contains(number));
        let sent_below = incomplete.take(WINDOW.into()).last().unwrap() + 1;
        self.received.sort_unstable_by_key(|received| received.sequence);
        self.inflight = Inflight::recover(WINDOW, sent_below, &self.received);
    }

    /// The network heals: everything must come to its end.
    fn heal(&mut self) {
        for _ in 0..self.messages.len() * 8 + 100 {
            self.send();
            self.server_reads();
            self.client_reads();
            self.sync();
        }
    }

    fn first_deliveries(&self, qos: QoS) -> Vec<u64> {
        let mut seen = HashSet::new();
        let of = |number: &&u64| self.qos(**number) == qos;
        self.delivered.iter().filter(of).copied().filter(|number| seen.insert(*number)).collect()
    }

    fn duplicates(&self, qos: QoS) -> usize {
        let all = self.delivered.iter().filter(|number| self.qos(**number) == qos).count();
        all - self.first_deliveries(qos).len()
    }

    fn qos(&self, number: u64) -> QoS {
        self.messages[number as usize - 1].qos
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let cut = (any::<bool>(), prop::bool::weighted(0.8), 1..6_u16);
    let act = prop_oneof![
        6 => Just(Act::Send),
        6 => Just(Act::ServerReads),
        6 => Just(Act::ClientReads),
        3 => Just(Act::Sync),
        2 => cut.prop_map(|(crash, keep_session, receive_maximum)| Act::Cut { crash, keep_session, receive_maximum }),
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
            let all = (1..=world.messages.len() as u64).filter(|number| world.qos(*number) == qos);
            prop_assert_eq!(world.first_deliveries(qos), all.collect::<Vec<_>>(), "lost or out of order");
        }
        prop_assert!(world.duplicates(QoS::AtLeastOnce) <= world.cuts * usize::from(WINDOW), "more than the window");
        // A crash forgets what is to be counted, not what is to be sent.
        let counted = world.duplicates(QoS::ExactlyOnce) as u64 <= world.doubtful;
        prop_assert!(counted || world.crashes > 0, "a QoS 2 duplicate that was not counted");
        prop_assert!(world.sessions_lost > 0 || world.duplicates(QoS::ExactlyOnce) == 0);
    }
}
