//! `$SYS/broker/…`: what mosquitto's users have on their dashboards, under the names and with the meanings that mosquitto gives it
//! (mosquitto(8), "Broker status").
//!
//! - Retained, at QoS 0, and only what has changed: nobody needs an old number, so none waits for a device that is away or for the disk.
//! - In memory alone. A restart begins with new numbers, as the counters themselves do.
//! - Bindings see them when a filter names `$SYS`; `#` does not match it [MQTT-4.7.2-1].
//!
//! Not offered: `heap/…`, which is what mosquitto has allocated and would be something else here, and `connection/…` of its bridges, for
//! which there is `tidegate status`.

mod load;
mod readings;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::base::clock;
use crate::bindings::{Dispatcher, Inbound};
use crate::ingress::registry::Registry;
use crate::message::{Message, Origin, QoS};
use crate::spool::Receipt;
use crate::topic::TopicName;

use load::Loads;
use readings::Readings;

/// Tells what has changed, each time that it is asked to.
pub struct SysTopics {
    dispatcher: Arc<Dispatcher>,
    sessions: Arc<Registry>,
    start: Instant,
    loads: Loads,
    /// The most clients that there were at any look.
    most_clients: usize,
    /// What was published last on each.
    told: HashMap<TopicName, String>,
}

// === impl SysTopics ===

impl SysTopics {
    pub fn new(dispatcher: Arc<Dispatcher>, sessions: Arc<Registry>) -> Self {
        let (start, loads) = (clock::now(), Loads::default());
        Self { dispatcher, sessions, start, loads, most_clients: 0, told: HashMap::new() }
    }

    /// At once, and then this often, until `stop`. None: never.
    pub async fn run(mut self, mut every: watch::Receiver<Option<Duration>>, stop: CancellationToken) {
        loop {
            let interval = *every.borrow_and_update();
            tokio::select! {
                () = self.tell_each(interval) => {}
                changed = every.changed() => if changed.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }

    async fn tell_each(&mut self, interval: Option<Duration>) {
        let Some(interval) = interval else { return std::future::pending().await };
        let mut interval = tokio::time::interval(interval);
        // After a pause of the machine, one look and not all that were missed.
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.tell(clock::now());
        }
    }

    fn tell(&mut self, now: Instant) {
        let readings = Readings::take(self.dispatcher.counters(), self.sessions.census());
        let clients = readings.census.connected + readings.census.away;
        self.most_clients = self.most_clients.max(clients);
        let uptime = now.saturating_duration_since(self.start);
        let mut topics = topics::of(&readings, uptime, self.most_clients);
        topics.extend(self.loads.next(&readings.totals, uptime));
        let origin = Arc::new(Origin::gateway(clock::unix_ms()));
        for (topic, value) in topics {
            self.publish(topic, value, &origin, now);
        }
    }

    fn publish(&mut self, topic: String, value: String, origin: &Arc<Origin>, now: Instant) {
        // They are ours, and short.
        let Ok(topic) = TopicName::parse(&topic) else { return };
        if self.told.get(&topic) == Some(&value) {
            return;
        }
        let message = Message { retain: true, ..Message::new(topic.clone(), value.clone(), QoS::AtMostOnce) };
        let (origin, receipt, changes) = (origin.clone(), Receipt::none(), Vec::new());
        self.dispatcher.announce(Inbound {
            message,
            origin,
            arrived: now,
            receipt,
            changes,
            attempts: 0,
            caused: None,
        });
        self.told.insert(topic, value);
    }
}
