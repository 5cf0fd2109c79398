//! Waits until every binding's plugins have started, or have failed to: the first time counts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::socket::NotifySocket;
use crate::chain::Standing;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// How often the supervisor is asked for more time, and for how much. A component that is compiled has a deadline of its own
/// (`compile_time`), and so has a start; how many of them there are no unit file can know.
const EXTEND_EVERY: Duration = Duration::from_secs(10);
const EXTEND_BY: Duration = Duration::from_secs(60);

pub async fn wait(standings: &[Standing], socket: &NotifySocket) {
    let mut extend_at = Instant::now();
    loop {
        let waiting: Vec<&str> = standings.iter().filter(|one| one.is_starting()).map(|one| &**one.binding()).collect();
        if waiting.is_empty() {
            return;
        }
        if extend_at <= Instant::now() {
            extend_at = Instant::now() + EXTEND_EVERY;
            socket.tell(&extension(&waiting)).await;
        }
        sleep(LOOK).await;
    }
}

fn extension(waiting: &[&str]) -> String {
    format!(
        "EXTEND_TIMEOUT_USEC={}\nSTATUS=Serving devices; plugins of {} start: {}",
        EXTEND_BY.as_micros(),
        if waiting.len() == 1 { "a binding" } else { "bindings" },
        waiting.join(", ")
    )
}
