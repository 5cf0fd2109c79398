//! A run before it runs: who there is, what each does when, and what goes wrong. All of it follows from the seed, and each part can
//! be left out, which is how a failing run is made smaller.

mod bulk;
mod draw;
mod hazard;
mod state;
mod subscribers;

pub use self::hazard::{ALL, Change, Hazard, Trouble, What};
pub use self::state::{KeeperPlan, LifeEnd, LifePlan, MortalPlan, ValuePlan, WatcherPlan};
pub use self::subscribers::SubscriberPlan;
use super::dice::Dice;

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub spool_bytes: u64,
    pub receive_maximum: u16,
    /// Bytes on their way in a connection, at least.
    pub least_pipe: usize,
    pub upstreams: Vec<UpstreamPlan>,
    pub devices: Vec<DevicePlan>,
    pub subscribers: Vec<SubscriberPlan>,
    /// A device of 3.1.1 that sends QoS 2 and never PUBREL.
    pub has_rude_device: bool,
    pub keepers: Vec<KeeperPlan>,
    pub watchers: Vec<WatcherPlan>,
    pub mortals: Vec<MortalPlan>,
    /// By time.
    pub troubles: Vec<Trouble>,
}

#[derive(Clone, Debug)]
pub struct UpstreamPlan {
    pub name: String,
    pub version: u8,
    pub max_inflight: u16,
    /// Of CONNACK, at MQTT 5.
    pub receive_maximum: u16,
    pub server_keep_alive: Option<u16>,
    /// Before each answer.
    pub latency_ms: u64,
    /// Closes on messages that say so.
    pub hates_poison: bool,
    /// Takes those of QoS 2, and closes on their PUBREL.
    pub hates_late: bool,
    /// Knows QoS 1 only, and answers QoS 2 with PUBACK.
    pub acks_wrong: bool,
    /// The address that is configured before its own.
    pub first: Option<First>,
}

/// What is at a first address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// A broker like the other one.
    Twin,
    /// Lets us in, answers pings, and acknowledges nothing, ever.
    Mute,
    /// Has a Maximum Packet Size in which nothing has room.
    Tiny(u32),
}

#[derive(Clone, Debug)]
pub struct DevicePlan {
    pub name: String,
    pub version: u8,
    pub window: usize,
    pub sendings: Vec<Sending>,
}

/// One message of a device.
#[derive(Clone, Debug)]
pub struct Sending {
    pub number: usize,
    /// After the one before.
    pub pause_ms: u64,
    pub route: Route,
    pub qos: u8,
    pub verb: Verb,
    pub padding: usize,
    pub retain: bool,
    /// A topic of as many levels as there may be: nothing can be put before it.
    pub deep: bool,
}

/// Which binding it goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// No plugins, first upstream.
    Raw,
    /// The native plugin, first upstream.
    Cooked,
    /// No plugins, every upstream.
    Both,
    /// Over the local bus and a second binding.
    Staged,
    /// Over another first one, and the same second.
    StagedToo,
    /// To local subscribers alone.
    Local,
}

/// What the plugin makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Pass,
    Drop,
    Fail,
    /// Not now: then it passes.
    Later,
    Two,
}

/// All troubles are over by then, and everybody has sent.
pub const FAULTS_END_MS: u64 = 30_000;

/// Larger than a segment of the smallest spool.
pub const LARGE: usize = 150_000;

// === impl Plan ===

impl Plan {
    pub fn new(seed: u64, hazards: &[Hazard]) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let has = |hazard: Hazard| hazards.contains(&hazard);
        let full = has(Hazard::Full) && dice.one_in(3);
        let poison = has(Hazard::Poison) && dice.one_in(4);
        let late = poison && dice.one_in(3);
        // Not both: between an address that takes nothing and one that closes, each culprit takes minutes to find.
        let firsts = has(Hazard::Addresses) && dice.one_in(3) && !poison;
        let wrong = has(Hazard::WrongAcks) && dice.one_in(8);
        let upstreams: Vec<_> = (0..dice.within(1, 2))
            .map(|index| UpstreamPlan {
                hates_poison: poison,
                hates_late: late,
                acks_wrong: wrong,
                ..draw::upstream(&mut dice, index, firsts)
            })
            .collect();
        let devices = (0..dice.within(1, 4)).map(|index| draw::device(&mut dice, index, full, poison)).collect();
        let has_rude_device = has(Hazard::Rude) && dice.one_in(6);
        let mut plan = Self {
            seed,
            spool_bytes: if full { 512 << 10 } else { 4 << 20 },
            receive_maximum: *dice.pick(&[5, 20, 100]),
            least_pipe: 0,
            upstreams,
            devices,
            subscribers: Vec::new(),
            has_rude_device,
            keepers: Vec::new(),
            watchers: Vec::new(),
            mortals: Vec::new(),
            troubles: Vec::new(),
        };
        let is_bulk = has(Hazard::Full) && bulk::draw(&mut plan);
        if has(Hazard::Subscribers) && !is_bulk {
            subscribers::draw(&mut plan, poison);
        }
        if !is_bulk {
            state::draw(&mut plan, hazards);
        }
        let drawn = hazards.iter().copied().filter(|hazard| !hazard.has_own_dice());
        let kinds: Vec<Hazard> = drawn.filter(|_| dice.one_in(2)).collect();
        for _ in 0..if kinds.is_empty() { 0 } else { dice.within(0, 8) } {
            let kind = *dice.pick(&kinds);
            plan.troubles.extend(plan.trouble(kind, &mut dice));
        }
        plan.troubles.sort_by_key(|trouble| trouble.at_ms);
        plan
    }
}
