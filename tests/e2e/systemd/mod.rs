//! The gateway under systemd: what it tells, and when; the unit file that is shipped.

mod told;
mod unit;
mod watchdog;
