//! Who listens: a real `mosquitto_sub` with a session that outlives its broker, and what it has heard.

use std::net::SocketAddr;
use std::process::Command;

use crate::eventually::soon;
use crate::process::{Process, finish};

/// How a message begins among the other things that `mosquitto_sub` says.
const ARRIVAL: &str = "arrival ";

pub struct Sink {
    process: Process,
}

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub payload: String,
}

// === impl Sink ===

impl Sink {
    /// Leaves a session behind in which messages wait for [`Sink::subscribe`].
    ///
    /// For brokers that are restarted: mosquitto 2.0.11 and its own client do not resume QoS 2 exchanges with each other
    /// without a protocol error now and then, so nothing must be in flight between those two.
    pub fn announce(broker: SocketAddr, filter: &str) {
        let finished = finish("sink", mosquitto_sub(broker, filter).arg("-E"));
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }

    /// Subscribes at QoS 2, so that each message arrives with the QoS it has at the broker. Returns once subscribed.
    pub fn subscribe(broker: SocketAddr, filter: &str) -> Self {
        let sink = Self { process: Process::start("sink", &mut mosquitto_sub(broker, filter)) };
        soon("the sink is subscribed", || sink.process.out().count(|line| line.starts_with("Subscribed")) > 0);
        sink
    }

    pub fn count(&self) -> usize {
        self.process.out().count(|line| line.starts_with(ARRIVAL))
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.process.out().all().iter().filter_map(|line| Arrival::parse(line)).collect()
    }

    /// Waits for so many, and no longer: whether more arrive is for the caller to find out, with a message that comes last.
    pub fn wait_for(&self, count: usize) -> Vec<Arrival> {
        soon(&format!("{count} messages at the sink"), || self.count() >= count);
        self.arrivals()
    }
}

fn mosquitto_sub(broker: SocketAddr, filter: &str) -> Command {
    // Into a pipe, `mosquitto_sub` writes what `-d` says only when a message follows. `stdbuf` makes it write lines.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "mosquitto_sub", "-h", &broker.ip().to_string(), "-p", &broker.port().to_string()]);
    // `-d` tells of the SUBACK; `-c` keeps the session.
    command.args(["-V", "mqttv5", "-d", "-i", "sink", "-c", "-q", "2", "-t", filter, "--retain-as-published"]);
    // libmosquitto 2.0.11 says "protocol error" at the last QoS 2 message that its default Receive Maximum of 20 allows.
    command.args(["-D", "connect", "receive-maximum", "1000"]);
    // One line for each message: what has a fixed form first, so that payload and topic may contain anything else.
    command.args(["-F", &format!("{ARRIVAL}%q %r %t %p")]);
    command
}

// === impl Arrival ===

impl Arrival {
    /// The `id` field of its JSON.
    pub fn id(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.payload).unwrap_or_default();
        json["id"].as_str().unwrap_or_default().to_owned()
    }

    /// Topics in these tests have no spaces.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(ARRIVAL)?.splitn(4, ' ');
        let (qos, retain, topic) = (words.next()?.parse().ok()?, words.next()? == "1", words.next()?.to_owned());
        Some(Self { topic, qos, retain, payload: words.next().unwrap_or_default().to_owned() })
    }
}
