//! A run before it runs: who there is, what each does when, and what goes wrong. All of it follows from the seed, and each part can
//! be left out, which is how a failing run is made smaller.

use super::dice::Dice;

/// Kinds of trouble that a plan may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// The process is killed, the power cut, the process stopped.
    Ends,
    /// The disk is full, slow, or fails.
    Disk,
    /// Upstreams go away, are slow, cut connections.
    Upstreams,
    /// Connections of devices are cut.
    Devices,
    /// Upstreams forget sessions.
    Forgetting,
    /// Acks of upstreams are lost on a connection that lives on.
    LostAcks,
    /// Upstreams refuse messages by an ack.
    Refusals,
    /// Upstreams close on one message, always.
    Poison,
    /// PUBACK for QoS 2, PUBREC for QoS 1.
    WrongAcks,
    /// Terms that fall while a session is kept.
    Terms,
    /// The spool is small, and full again and again.
    Full,
    /// The wall clock jumps.
    Clock,
}

pub const ALL: [Hazard; 12] = [
    Hazard::Ends,
    Hazard::Disk,
    Hazard::Upstreams,
    Hazard::Devices,
    Hazard::Forgetting,
    Hazard::LostAcks,
    Hazard::Refusals,
    Hazard::Poison,
    Hazard::WrongAcks,
    Hazard::Terms,
    Hazard::Full,
    Hazard::Clock,
];

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub spool_bytes: u64,
    pub receive_maximum: u16,
    pub upstreams: Vec<UpstreamPlan>,
    pub devices: Vec<DevicePlan>,
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
    /// Before each answer.
    pub latency_ms: u64,
    /// Closes on messages that say so.
    pub hates_poison: bool,
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

#[derive(Clone, Debug)]
pub struct Trouble {
    pub at_ms: u64,
    pub lasts_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Kill,
    PowerCut,
    Stop,
    DiskFull,
    DiskSlow(u64),
    /// EIO at the n-th call from now.
    DiskFails(u64),
    /// The machine is off at the n-th call from now.
    DiskCrash(u64),
    Away(usize),
    /// Each packet is answered after so many milliseconds.
    Slow(usize, u64),
    Cut(usize),
    /// Reads nothing.
    Deaf(usize),
    Forgets(usize),
    /// Of a thousand.
    LosesAcks(usize, u64),
    Refuses(usize, u64),
    WrongAcks(usize),
    MaxQos(usize, u8),
    CutDevice(usize),
    /// Milliseconds, forward or back.
    ClockJump(i64),
}

/// All troubles are over by then, and everybody has sent.
pub const FAULTS_END_MS: u64 = 30_000;

// === impl Plan ===

impl Plan {
    pub fn new(seed: u64, hazards: &[Hazard]) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let has = |hazard: Hazard| hazards.contains(&hazard);
        let full = has(Hazard::Full) && dice.one_in(3);
        let poison = has(Hazard::Poison) && dice.one_in(4);
        let upstreams: Vec<_> = (0..dice.within(1, 2)).map(|index| upstream(&mut dice, index, poison)).collect();
        let devices = (0..dice.within(1, 4)).map(|index| device(&mut dice, index, full, poison)).collect();
        let mut plan = Self {
            seed,
            spool_bytes: if full { 512 << 10 } else { 4 << 20 },
            receive_maximum: *dice.pick(&[5, 20, 100]),
            upstreams,
            devices,
            troubles: Vec::new(),
        };
        let kinds: Vec<Hazard> = hazards.iter().copied().filter(|_| dice.one_in(2)).collect();
        for _ in 0..if kinds.is_empty() { 0 } else { dice.within(0, 8) } {
            let kind = *dice.pick(&kinds);
            plan.troubles.extend(plan.trouble(kind, &mut dice));
        }
        plan.troubles.sort_by_key(|trouble| trouble.at_ms);
        plan
    }

    fn trouble(&self, kind: Hazard, dice: &mut Dice) -> Option<Trouble> {
        let at_ms = dice.below(FAULTS_END_MS - 10_000);
        let lasts_ms = *dice.pick(&[10, 100, 1_000, 5_000, 10_000]);
        let upstream = dice.below(self.upstreams.len() as u64) as usize;
        let what = match kind {
            Hazard::Ends => dice.pick(&[What::Kill, What::PowerCut, What::Stop]).clone(),
            Hazard::Disk => match dice.below(4) {
                0 => What::DiskFull,
                1 => What::DiskSlow(dice.within(1, 3_000)),
                2 => What::DiskFails(dice.within(1, 40)),
                _ => What::DiskCrash(dice.within(1, 40)),
            },
            Hazard::Upstreams => match dice.below(4) {
                0 => What::Away(upstream),
                1 => What::Slow(upstream, dice.within(1, 500)),
                2 => What::Deaf(upstream),
                _ => What::Cut(upstream),
            },
            Hazard::Devices => What::CutDevice(dice.below(self.devices.len() as u64) as usize),
            Hazard::Forgetting => What::Forgets(upstream),
            Hazard::LostAcks => What::LosesAcks(upstream, *dice.pick(&[20, 200, 1_000])),
            Hazard::Refusals => What::Refuses(upstream, *dice.pick(&[50, 500])),
            Hazard::WrongAcks => What::WrongAcks(upstream),
            Hazard::Terms => What::MaxQos(upstream, *dice.pick(&[0, 1])),
            Hazard::Clock => What::ClockJump(*dice.pick(&[-3_600_000, 3_600_000, -86_400_000, 30 * 86_400_000])),
            Hazard::Poison | Hazard::Full => return None,
        };
        Some(Trouble { at_ms, lasts_ms, what })
    }
}

// === impl What ===

impl What {
    pub fn is_of_device(&self) -> bool {
        matches!(self, Self::CutDevice(_))
    }
}

fn upstream(dice: &mut Dice, index: u64, poison: bool) -> UpstreamPlan {
    UpstreamPlan {
        name: ["cloud", "site"][index as usize].to_owned(),
        version: *dice.pick(&[4, 5]),
        max_inflight: *dice.pick(&[1, 5, 100]),
        receive_maximum: *dice.pick(&[2, 20, 65_535]),
        latency_ms: *dice.pick(&[0, 0, 1, 20]),
        hates_poison: poison,
    }
}

fn device(dice: &mut Dice, index: u64, full: bool, poison: bool) -> DevicePlan {
    let pace = *dice.pick(&[0, 20, 200, 1_000]);
    let most = if pace < 100 { 150 } else { 20_000 / pace };
    let count = dice.within(1, most) as usize;
    let sendings = (0..count).map(|number| sending(dice, number, pace, full, poison)).collect();
    DevicePlan { name: format!("dev{index}"), version: *dice.pick(&[4, 5]), window: *dice.pick(&[1, 4, 20]), sendings }
}

fn sending(dice: &mut Dice, number: usize, pace: u64, full: bool, poison: bool) -> Sending {
    let route = *dice.pick(&[Route::Raw, Route::Cooked, Route::Both, Route::Staged]);
    let verb = match route {
        Route::Cooked => *dice.pick(&[Verb::Pass, Verb::Pass, Verb::Drop, Verb::Fail, Verb::Later, Verb::Two]),
        _ => Verb::Pass,
    };
    let poisoned = poison && dice.one_in(40);
    let padding = if full { dice.within(0, 4_000) } else { *dice.pick(&[0, 0, 0, 100, 3_000]) } as usize;
    Sending {
        number,
        pause_ms: dice.below(2 * pace + 1),
        route,
        qos: *dice.pick(&[0, 1, 1, 2, 2]),
        verb: if poisoned { Verb::Pass } else { verb },
        padding: if poisoned { super::broker::POISON } else { padding },
    }
}
