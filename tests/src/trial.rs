//! A gateway under load that is made to suffer, and the verdict on it: the devices, the upstream and the judge stand outside.
//!
//! ```text
//!  fleet (keeps sessions, sends again) ─▶ gateway (killed, started again) ─▶ upstream (keeps sessions) ─▶ oracle
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::doors::{Dial, Doors, Way};
use crate::driver::Expect;
use crate::fleet::{FRESH, Fleet};
use crate::gateway::{Gateway, Home, Launch, Stillborn};
use crate::moments::Moments;
use crate::mounted::{Mounted, Reason};
use crate::oracle::Verdict;
use crate::raw::Raw;
use crate::stubborn::Habits;
use crate::upstream::Upstream;
use crate::wire::{Connect, V4, V5};

/// Messages that a gateway of these trials has in flight towards its upstream: the default `max_inflight`.
pub const UPSTREAM_WINDOW: usize = 100;

/// One in so many processes is killed before it may be ready.
const WHILE_STARTING: u64 = 5;

/// The longest that a process lives, and the longest of those that are killed while they start.
const LONGEST: u64 = 500;
const LONGEST_START: u64 = 150;

/// Everything below `load` goes to the upstream `cloud`, below `up`, as [`doubled`] says.
pub const BINDING: &str = r#"
[plugins.doubled]
component = "plugins/convert.wasm"
config = { fields = [{ path = "/n", scale = 2.0, decimals = 0 }] }
# Some of these messages are large.
limits = { deadline = "10s" }

[[bindings]]
name = "load"
topic = "load/#"
plugins = ["doubled"]
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;

/// The same through two local stages.
const STAGED: &str = r#"
to = [{ local = true, topic = "one/{topic}" }]

[[bindings]]
name = "one"
topic = "one/#"
to = [{ local = true, topic = "two/{topic}" }]

[[bindings]]
name = "two"
topic = "two/#"
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;

/// Who sends what.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Devices at each of these QoS.
    pub devices: usize,
    pub qos: Vec<u8>,
    pub padding: usize,
    /// Between two bursts of a device.
    pub pause: Duration,
    /// Two local stages stand between the plugin and the upstream.
    pub is_staged: bool,
    /// Sessions that are away, for which everything is kept as well.
    pub subscribers: usize,
    /// More of the configuration, such as a `[spool]`.
    pub config: String,
}

pub struct Trial {
    pub home: Arc<Home>,
    pub fleet: Fleet,
    pub upstream: Upstream,
    gateway: Option<Gateway>,
    /// Of the load, those that have not been here yet.
    subscribers: usize,
    crashes: usize,
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub crashes: usize,
    /// Duplicates at QoS 1 that a crash may leave behind, for all crashes: what the devices and the gateway had in flight.
    pub allowed: usize,
    pub forgotten_sessions: usize,
}

// === impl Trial ===

impl Trial {
    /// Nothing runs yet but the upstream and the devices.
    pub fn new(load: &Load) -> Self {
        let upstream = Upstream::start();
        let doors = Doors::new();
        let config = format!("{}{}{}{}", load.config, doors.config(), upstream.config(5), load.bindings());
        let home = Arc::new(Home::new(&config));
        doors.install(home.path());
        let (fleet, subscribers) = (Fleet::paced(load.habits(&doors), load.pause), load.subscribers);
        Self { home, fleet, upstream, gateway: None, subscribers, crashes: 0 }
    }

    /// Starts the gateway and sends the devices there; how long it took until they could come.
    pub fn start(&mut self, how: &Launch) -> Duration {
        let gateway = Gateway::launch(&self.home, how);
        for number in 0..std::mem::take(&mut self.subscribers) {
            let connect = Connect::new(V5, &format!("subscriber {number}")).persistent(600);
            let (mut subscriber, _) = Raw::connect(gateway.address(), &connect);
            subscriber.subscribe("load/#", 1);
            subscriber.leave();
        }
        self.fleet.look_at(Some(gateway.address()));
        self.gateway.insert(gateway).ready_after()
    }

    /// Starts one that dies before it lets a device in.
    pub fn start_in_vain(&mut self, how: &Launch) -> Stillborn {
        self.crashes += 1;
        match Gateway::try_launch(&self.home, how) {
            Err(stillborn) => stillborn,
            Ok(_) => panic!("it was to die when it starts: {how:?}"),
        }
    }

    /// Starts one that dies by itself: under load, or before it lets a device in, which a point that is met at a start as well decides.
    pub fn start_and_die(&mut self, how: &Launch) {
        match Gateway::try_launch(&self.home, how) {
            Err(Stillborn { .. }) => self.crashes += 1,
            Ok(gateway) => {
                self.fleet.look_at(Some(gateway.address()));
                self.gateway = Some(gateway);
                self.wait_for_death();
            }
        }
    }

    /// Kills it some time from now, and perhaps the next one while it starts. How many were killed.
    pub fn kill_at_random(&mut self, moments: &mut Moments) -> usize {
        std::thread::sleep(moments.within(LONGEST));
        self.kill();
        if !moments.one_in(WHILE_STARTING) {
            return 1;
        }
        self.kill_while_starting(moments.within(LONGEST_START));
        2
    }

    /// Starts one and kills it after so long, whatever it does by then: at a random moment, time is the point.
    pub fn kill_while_starting(&mut self, after: Duration) {
        self.crashes += 1;
        let mut process = Launch::default().start(&self.home);
        std::thread::sleep(after);
        process.kill();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.gateway().kill();
        self.crashes += 1;
    }

    /// The power of this disk is cut, and with it the gateway's: of what it says from that moment on, nobody hears. Then the
    /// power is back.
    ///
    /// Not hearing matters: an `fdatasync` that is under way while ext4 is shut down may answer "done" and not have done it, one
    /// time in twenty. A real power cut leaves nobody to hear that answer.
    pub fn cut_power(&mut self, disk: &Mounted) -> Result<(), Reason> {
        let gateway = self.gateway();
        self.crashes += 1;
        self.fleet.cut_off(|| {
            self.upstream.set_away(true);
            let cut = disk.cut_power();
            gateway.kill();
            cut
        })?;
        disk.power_on()
    }

    /// Waits until it has died of itself.
    pub fn wait_for_death(&mut self) -> std::process::ExitStatus {
        self.crashes += 1;
        self.gateway().wait_for_end()
    }

    pub fn running(&mut self) -> &mut Gateway {
        self.gateway.as_mut().expect("a gateway that runs")
    }

    /// Everything has healed: a few messages more, and then all that is owed must be there. The gateway stops in good order,
    /// with its accounting balanced.
    pub fn judge(mut self) -> Outcome {
        let gateway = self.gateway();
        self.upstream.set_away(false);
        self.fleet.look_at(Some(gateway.address()));
        let devices = self.fleet.len();
        let log = self.fleet.finish();
        self.upstream.settle(&log.oracle);
        let counters = gateway.stop();
        assert_eq!(counters["acknowledged_lost"], 0, "the gateway says so itself: {counters:#?}");
        let verdict = log.oracle.judge(&self.upstream.seen());
        assert!(verdict.obligations >= devices * FRESH, "no life after the fault: {verdict:?}");
        let allowed = self.crashes * (devices * crate::driver::WINDOW + UPSTREAM_WINDOW);
        Outcome { verdict, crashes: self.crashes, allowed, forgotten_sessions: log.forgotten }
    }

    fn gateway(&mut self) -> Gateway {
        self.gateway.take().expect("a gateway that runs")
    }
}

// === impl Load ===

impl Load {
    /// One device after the other comes through another listener.
    fn habits(&self, doors: &Arc<Doors>) -> Vec<Habits> {
        let habits = self.habits_through(if self.is_staged { doubled_in_stages } else { doubled });
        let ways = Way::ALL.into_iter().cycle();
        habits.into_iter().zip(ways).map(|(one, way)| Habits { dial: Dial::through(doors, way), ..one }).collect()
    }

    fn bindings(&self) -> String {
        if !self.is_staged {
            return BINDING.to_owned();
        }
        let (first, _) = BINDING.rsplit_once("to = ").expect("the last line of it");
        format!("{first}{STAGED}")
    }

    /// Devices whose messages become something else on their way.
    pub fn habits_through(&self, expect: Expect) -> Vec<Habits> {
        let device = |qos: &u8, number: usize| {
            let name = format!("q{qos}d{number}");
            let version = if number.is_multiple_of(2) { V5 } else { V4 };
            let topic = format!("load/{name}");
            Habits { name, topic, qos: *qos, version, padding: self.padding, expect, dial: Dial::default() }
        };
        let of = |qos| (0..self.devices).map(move |number| device(qos, number));
        self.qos.iter().flat_map(of).collect()
    }
}

/// What the plugin of the binding makes of it.
pub fn doubled(topic: &str, id: &str, number: usize) -> (String, String) {
    (format!("up/{topic}"), format!(r#"{{"id":"{id}","n":{}}}"#, 2 * number))
}

fn doubled_in_stages(topic: &str, id: &str, number: usize) -> (String, String) {
    doubled(&format!("two/one/{topic}"), id, number)
}

// === impl Outcome ===

impl Outcome {
    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.verdict.extend(other.verdict);
        self.crashes += other.crashes;
        self.allowed += other.allowed;
        self.forgotten_sessions += other.forgotten_sessions;
        self
    }

    /// Every promise kept: nothing lost, nothing twice at QoS 2, no more than the windows at QoS 1, nothing changed, in order.
    pub fn assert_kept(&self, obligations: usize) {
        self.verdict.assert_repeated_at_most(self.allowed, obligations);
        assert_eq!(self.forgotten_sessions, 0, "sessions of devices survive a crash");
    }
}
