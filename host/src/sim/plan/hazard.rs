//! What may go wrong.

use super::super::dice::Dice;
use super::{FAULTS_END_MS, Plan};

/// Kinds of trouble that a plan may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// The process is killed, the power cut, the process stopped.
    Ends,
    /// The disk is full, slow, or fails.
    Disk,
    /// Upstreams go away, are slow, cut connections.
    Upstreams,
    /// A first address that is no better than none, or another broker.
    Addresses,
    /// Connections of devices are cut.
    Devices,
    /// Local subscribers: slow ones, groups that lose members, one that closes on a message.
    Subscribers,
    /// A device that never ends what it begins.
    Rude,
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
    /// The next process has another configuration.
    Settings,
    /// Devices that keep retained values, and who looks at them.
    Retained,
    /// Devices with wills that die, say good-bye, and come back.
    Wills,
}

pub const ALL: [Hazard; 18] = [
    Hazard::Ends,
    Hazard::Disk,
    Hazard::Upstreams,
    Hazard::Addresses,
    Hazard::Devices,
    Hazard::Subscribers,
    Hazard::Rude,
    Hazard::Forgetting,
    Hazard::LostAcks,
    Hazard::Refusals,
    Hazard::Poison,
    Hazard::WrongAcks,
    Hazard::Terms,
    Hazard::Full,
    Hazard::Clock,
    Hazard::Settings,
    Hazard::Retained,
    Hazard::Wills,
];

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
    /// Its connections of now are never read nor closed: the other end is gone, and nobody says so.
    Vanish(usize),
    Forgets(usize),
    /// Of a thousand.
    LosesAcks(usize, u64),
    Refuses(usize, u64),
    WrongAcks(usize),
    MaxQos(usize, u8),
    NoRetain(usize),
    Window(usize, u16),
    PacketSize(usize, u32),
    CutDevice(usize),
    /// Milliseconds, forward or back.
    ClockJump(i64),
    /// A stop, and a start with this.
    Settings(Change),
}

/// Of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    MaxBytes(u64),
    /// The last upstream is not configured while it lasts.
    WithoutLast,
    DropQos0First,
}

// === impl Plan ===

impl Plan {
    pub(super) fn trouble(&self, kind: Hazard, dice: &mut Dice) -> Option<Trouble> {
        // Most devices have sent what they have in the first seconds.
        let at_ms = if dice.one_in(2) { dice.below(3_000) } else { dice.below(FAULTS_END_MS - 10_000) };
        let lasts_ms = *dice.pick(&[10, 100, 1_000, 5_000, 10_000]);
        let upstream = dice.below(self.upstreams.len() as u64) as usize;
        let what = match kind {
            Hazard::Ends => dice.pick(&[What::Kill, What::PowerCut, What::Stop]).clone(),
            Hazard::Disk => disk(dice),
            Hazard::Upstreams => match dice.below(5) {
                0 => What::Away(upstream),
                1 => What::Slow(upstream, dice.within(1, 500)),
                2 => What::Deaf(upstream),
                3 => What::Vanish(upstream),
                _ => What::Cut(upstream),
            },
            Hazard::Devices => {
                What::CutDevice(dice.below((self.devices.len() + self.subscribers.len()) as u64) as usize)
            }
            Hazard::Forgetting => What::Forgets(upstream),
            Hazard::LostAcks => What::LosesAcks(upstream, *dice.pick(&[20, 200, 1_000])),
            Hazard::Refusals => What::Refuses(upstream, *dice.pick(&[50, 500])),
            Hazard::WrongAcks => What::WrongAcks(upstream),
            Hazard::Terms => match dice.below(4) {
                0 => What::MaxQos(upstream, *dice.pick(&[0, 1])),
                1 => What::NoRetain(upstream),
                2 => What::Window(upstream, *dice.pick(&[1, 2, 10])),
                _ => What::PacketSize(upstream, *dice.pick(&[80, 300, 2_000])),
            },
            Hazard::Clock => What::ClockJump(*dice.pick(&[-3_600_000, 3_600_000, -86_400_000, 30 * 86_400_000])),
            // Devices of 3.1.1 cannot be told that what they send has no room in a smaller spool.
            Hazard::Settings if self.least_pipe > 0 => return None,
            Hazard::Settings => What::Settings(match dice.below(3) {
                0 => Change::MaxBytes(256 << 10),
                1 if self.upstreams.len() > 1 => Change::WithoutLast,
                _ => Change::DropQos0First,
            }),
            Hazard::Poison | Hazard::Full | Hazard::Addresses | Hazard::Rude | Hazard::Subscribers => return None,
            Hazard::Retained | Hazard::Wills => return None,
        };
        Some(Trouble { at_ms, lasts_ms, what })
    }
}

fn disk(dice: &mut Dice) -> What {
    match dice.below(4) {
        0 => What::DiskFull,
        1 => What::DiskSlow(dice.within(1, 3_000)),
        2 => What::DiskFails(dice.within(1, 40)),
        _ => What::DiskCrash(dice.within(1, 40)),
    }
}

// === impl Hazard ===

impl Hazard {
    /// It came later than the others, whose dice fall as they did.
    pub(super) fn has_own_dice(self) -> bool {
        matches!(self, Self::Retained | Self::Wills)
    }
}

// === impl What ===

impl What {
    pub fn is_of_device(&self) -> bool {
        matches!(self, Self::CutDevice(_))
    }

    /// What is written is late, or not written at all.
    pub fn is_of_disk(&self) -> bool {
        matches!(self, Self::DiskFull | Self::DiskSlow(_) | Self::DiskFails(_) | Self::DiskCrash(_))
    }
}
