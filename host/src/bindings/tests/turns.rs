//! One client that has much in the lane of a binding, and what others notice of it.

use super::*;
use crate::config::OrderOf;
use crate::spool::Key;

/// As many as one client may have under way at QoS 1, several times.
const FLOOD: u64 = 1_000;
const HONEST: u64 = 1_000_000;

/// One thread, which waits in the lane of the topic `gate` until it is let go.
struct Held {
    fixture: Fixture,
    acks: Resolved,
    go: mpsc::SyncSender<()>,
}

impl Held {
    fn of(chains: Vec<Chain>, specs: Vec<config::Binding>) -> Self {
        let ((began, begins), (go, gate)) = (mpsc::channel(), mpsc::sync_channel::<()>(1));
        let closed = Chain::new(vec![stage(move |_| {
            began.send(()).unwrap();
            gate.recv().unwrap();
            Ok(Verdict::Forward)
        })]);
        let (workers, lanes) = Workers::start(1, chains.into_iter().chain([closed]).collect()).unwrap();
        let specs = specs.into_iter().chain([spec("gate")]).zip(lanes);
        let fixture = fixture_of(workers, specs.map(|(spec, lane)| Binding::new(spec, Some(lane))).collect());
        let held = Self { fixture, acks: Resolved::default(), go };
        held.send("gate", "gate", 0);
        begins.recv_timeout(PATIENCE).unwrap();
        held
    }

    fn message(&self, client: &str, topic: &str, ticket: u64) -> Inbound {
        let origin = Origin { client: client.into(), ..Origin::gateway(0) };
        Inbound { origin: Arc::new(origin), ..inbound(topic, Receipt::new(ticket, self.acks.clone())) }
    }

    fn put(&self, inbound: Inbound) {
        self.fixture.dispatcher.try_start(self.fixture.dispatcher.arrive(inbound).unwrap()).unwrap();
    }

    fn send(&self, client: &str, topic: &str, ticket: u64) {
        self.put(self.message(client, topic, ticket));
    }

    fn flood(&self, topic: &str) {
        (1..=FLOOD).for_each(|ticket| self.send("greedy", topic, ticket));
    }

    /// Who is acknowledged, in order, of so many and the one that held them.
    fn acked(&self, messages: u64) -> Vec<u64> {
        self.go.send(()).unwrap();
        (0..=messages).map(|_| next(&self.acks)).collect()
    }
}

/// What of the flood is before this one.
fn waited_for(acked: &[u64], ticket: u64) -> usize {
    let own: Vec<u64> = acked.iter().copied().filter(|ticket| (1..=FLOOD).contains(ticket)).collect();
    assert!(own.len() == FLOOD as usize && own.is_sorted(), "those of one client stay in order");
    acked.iter().position(|acked| *acked == ticket).unwrap()
}

/// A turn, a round of who was first, and some.
const SOON: usize = 64 + 256 + 10;

fn forwarding() -> Chain {
    Chain::new(vec![stage(|_| Ok(Verdict::Forward))])
}

#[test]
fn a_message_does_not_wait_for_all_that_another_client_has_in_its_lane() {
    let held = Held::of(vec![forwarding()], vec![spec("t/#")]);
    held.flood("t/junk");
    held.send("honest", "t/1", HONEST);
    held.send("honest", "t/2", HONEST + 1);
    let acked = held.acked(FLOOD + 2);
    assert!(waited_for(&acked, HONEST) < SOON && waited_for(&acked, HONEST + 1) < SOON);
    assert!(waited_for(&acked, HONEST) < waited_for(&acked, HONEST + 1));
}

#[test]
fn nor_where_all_of_a_client_stay_in_order() {
    let by_client = |filter| config::Binding { order: OrderOf::Client, ..spec(filter) };
    let held = Held::of(vec![forwarding()], vec![by_client("t/#")]);
    held.flood("t/junk");
    held.send("honest", "t/1", HONEST);
    assert!(waited_for(&held.acked(FLOOD + 1), HONEST) < SOON);
}

/// A plugin that counts: what it knows last has to be written last, whoever was in front of whom.
#[test]
fn nor_where_plugins_remember_and_what_they_know_last_is_written_last() {
    let plugin = counting("{}");
    let held = Held::of(vec![remembering(&plugin), forwarding()], vec![spec("t/#"), spec("t/both")]);
    held.flood("t/junk");
    for number in 0..10 {
        held.send("honest", if number % 2 == 0 { "t/both" } else { "t/own" }, HONEST + number);
    }
    assert!(waited_for(&held.acked(FLOOD + 10), HONEST) < SOON);
    let state = held.fixture.dispatcher.journal().state();
    let counted: Vec<_> = state.iter().filter(|(key, _)| matches!(key, Key::State { .. })).collect();
    assert!(!counted.is_empty());
    let known: Vec<String> = counted.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
    assert!(known.iter().any(|known| known.contains("1010")), "{known:?}");
}

#[test]
fn in_two_lanes_that_remember_everybody_leaves_and_in_one_order() {
    let plugins = [counting("{}"), counting("{}")];
    let held = Held::of(plugins.iter().map(remembering).collect(), vec![spec("t/#"), spec("+/junk")]);
    held.flood("t/junk");
    held.send("honest", "t/own", HONEST);
    held.send("honest", "t/junk", HONEST + 1);
    let acked = held.acked(FLOOD + 2);
    assert!(waited_for(&acked, HONEST) < waited_for(&acked, HONEST + 1));
}

/// The older message is in a later round when the newer one is done.
#[test]
fn what_is_retained_last_is_what_a_restart_finds() {
    let held = Held::of(vec![forwarding()], vec![spec("t/#")]);
    held.flood("t/junk");
    for (client, payload, ticket) in [("greedy", "old", FLOOD + 1), ("honest", "new", HONEST)] {
        let mut inbound = held.message(client, "t/retained", ticket);
        (inbound.message.retain, inbound.message.payload) = (true, payload.into());
        held.put(inbound);
    }
    let acked = held.acked(FLOOD + 2);
    assert!(waited_for(&acked, HONEST) < waited_for(&acked, FLOOD + 1));
    let state = held.fixture.dispatcher.journal().state();
    let kept = state.iter().find(|(key, _)| matches!(key, Key::Retained { .. })).unwrap();
    assert_eq!(kept.1.message().unwrap().payload, "new");
}

/// At QoS 0 a client may have all places of a binding. Who waits for one waits behind one message of each.
#[tokio::test]
async fn who_has_all_places_of_a_binding_gives_one_to_each_who_waits() {
    let (some, gate) = mpsc::channel::<()>();
    let chain = Chain::new(vec![stage(move |_| {
        gate.recv().unwrap_or(());
        Ok(Verdict::Forward)
    })]);
    let held = Held::of(vec![chain], vec![spec("t/#")]);
    let message = |client, topic| {
        let mut inbound = held.message(client, topic, 0);
        (inbound.message.qos, inbound.receipt) = (QoS::AtMostOnce, Receipt::none());
        held.fixture.dispatcher.arrive(inbound).unwrap()
    };
    let dispatcher = &held.fixture.dispatcher;
    let rest = loop {
        if let Err(pending) = dispatcher.try_start(message("greedy", "t/junk")) {
            break *pending;
        }
    };
    let start = |pending| tokio::time::timeout(PATIENCE, dispatcher.clone().start_when_free(pending));
    let (first, second) = (start(rest), start(message("honest", "t/1")));
    held.go.send(()).unwrap();
    (0..200).for_each(|_| some.send(()).unwrap());
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_ok(), "four thousand others have their places still");
    drop(some);
}
