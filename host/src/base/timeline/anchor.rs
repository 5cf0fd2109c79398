//! What is kept of the gateway's time for the next process, and how far it has gone meanwhile.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::base::clock::{self, EARLIEST_PLAUSIBLE_MS, is_plausible};

/// A moment on all clocks of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub wall_ms: u64,
    /// Which start of the machine `uptime_ms` counts from. None where the system does not say.
    pub boot: Option<String>,
    /// It goes on while the machine sleeps, and over the end of a process.
    pub uptime_ms: u64,
    /// The wall clock was set from a battery-backed clock when the machine started.
    pub has_rtc: bool,
}

/// What the gateway's time was at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    pub time_ms: u64,
    pub moment: Moment,
}

/// A number that the kernel makes with each start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// `1` where the kernel has taken its time from there.
const RTC: &str = "/sys/class/rtc/rtc0/hctosys";

// === impl Moment ===

impl Moment {
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        Self {
            wall_ms: clock::unix_ms(),
            boot: text(BOOT_ID).filter(|boot| !boot.is_empty()),
            uptime_ms: clock::uptime_ms(),
            has_rtc: text(RTC).is_some_and(|taken| taken == "1"),
        }
    }

    /// Where the gateway's time begins: never so early that what is written in it could be taken for a clock that was not set.
    pub fn first_ms(&self) -> u64 {
        self.wall_ms.max(EARLIEST_PLAUSIBLE_MS)
    }

    /// What the wall clocks say that lies between two moments. None, when one of them cannot be right.
    fn wall_since(&self, earlier: &Self) -> Option<u64> {
        let are_set = is_plausible(self.wall_ms) && is_plausible(earlier.wall_ms);
        self.wall_ms.checked_sub(earlier.wall_ms).filter(|_| are_set)
    }
}

// === impl Anchor ===

impl Anchor {
    /// What the gateway's time is at a later moment.
    pub fn time_at(&self, now: &Moment) -> u64 {
        self.time_ms.saturating_add(self.passed(now))
    }

    /// Never more than has passed, as far as can be known: who gets more time than he was promised comes to no harm, and what goes too early is lost.
    ///
    /// - Since the same start of the machine: as its uptime says, whatever was done to the wall clock.
    /// - Since another start, on a machine whose wall clock has a battery: as that says.
    /// - Else the time since this start of the machine: so long, at least, no gateway was running there. But not more than the wall
    ///   clocks say, when they can be right: the folder may have come from another machine.
    fn passed(&self, now: &Moment) -> u64 {
        let then = &self.moment;
        if then.boot.is_some() && then.boot == now.boot && then.uptime_ms <= now.uptime_ms {
            return now.uptime_ms - then.uptime_ms;
        }
        let wall = now.wall_since(then);
        if then.has_rtc && now.has_rtc {
            return wall.unwrap_or(0);
        }
        wall.map_or(now.uptime_ms, |wall| wall.min(now.uptime_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;
    const WALL: u64 = 1_780_000_000_000;

    fn moment(boot: &str, uptime_ms: u64, wall_ms: u64) -> Moment {
        Moment { wall_ms, boot: Some(boot.into()), uptime_ms, has_rtc: false }
    }

    fn passed(then: Moment, now: &Moment) -> u64 {
        Anchor { time_ms: 7, moment: then }.time_at(now) - 7
    }

    #[test]
    fn within_one_start_of_the_machine_the_wall_clock_does_not_matter() {
        for (then, now) in [(WALL, WALL + 30 * DAY), (WALL + 30 * DAY, WALL), (0, WALL), (WALL, 0)] {
            assert_eq!(passed(moment("a", 1_000, then), &moment("a", 61_000, now)), 60_000, "{then} {now}");
        }
    }

    #[test]
    fn a_board_that_begins_in_1970_or_at_its_last_shutdown_loses_nothing_to_ntp() {
        let before = moment("a", DAY, 5_000);
        assert_eq!(passed(before, &moment("b", 20_000, WALL)), 20_000, "the network came up before the gateway");
        let late = moment("a", DAY, WALL - 5 * DAY);
        assert_eq!(passed(late.clone(), &moment("b", 20_000, WALL)), 20_000, "five days late until then");
        assert_eq!(passed(late, &moment("b", 20_000, WALL - 6 * DAY)), 20_000, "earlier than before");
    }

    #[test]
    fn a_clock_with_a_battery_says_how_long_the_power_was_off() {
        let with_rtc = |moment| Moment { has_rtc: true, ..moment };
        let then = with_rtc(moment("a", DAY, WALL));
        assert_eq!(passed(then.clone(), &with_rtc(moment("b", 20_000, WALL + 9 * DAY))), 9 * DAY);
        assert_eq!(passed(then.clone(), &with_rtc(moment("b", 20_000, 0))), 0, "the battery is empty");
        assert_eq!(passed(then, &moment("b", 20_000, WALL + 9 * DAY)), 20_000, "a board without one");
    }

    #[test]
    fn a_folder_that_moves_to_a_machine_that_runs_for_long_has_not_been_away_for_so_long() {
        assert_eq!(passed(moment("a", DAY, WALL), &moment("b", 100 * DAY, WALL + 60_000)), 60_000);
    }

    #[test]
    fn the_first_time_is_never_taken_for_that_of_a_clock_that_was_not_set() {
        assert!(is_plausible(moment("a", 0, 0).first_ms()));
        assert_eq!(moment("a", 0, WALL).first_ms(), WALL);
    }
}
