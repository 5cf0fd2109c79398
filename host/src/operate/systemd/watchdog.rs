//! Signs of life, as long as what must not hang answers.
//!
//! A timer that sends them by itself would say "alive" for a gateway that acknowledges nothing any more. So each one follows an answer.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

/// Signs in each period of the watchdog: one may come late, and one more be lost.
const SIGNS: u32 = 3;

/// `heartbeat` ends when everything has answered. When it does not end, no sign follows, and the supervisor ends the process.
pub async fn run<Beat, Sign>(period: Duration, heartbeat: impl Fn() -> Beat, sign: impl Fn() -> Sign)
where
    Beat: Future<Output = ()>,
    Sign: Future<Output = ()>,
{
    let every = period / SIGNS;
    loop {
        let next = Instant::now() + every;
        answered(heartbeat(), period, every).await;
        sign().await;
        sleep_until(next).await;
    }
}

async fn answered(heartbeat: impl Future<Output = ()>, period: Duration, late: Duration) {
    let mut heartbeat = pin!(heartbeat);
    tokio::select! {
        () = &mut heartbeat => return,
        () = sleep(late) => {}
    }
    tracing::error!(
        "the writer of the spool does not answer: after {period:?} without a sign of life the supervisor ends this process"
    );
    heartbeat.await;
    tracing::info!("the writer of the spool answers again");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    async fn signs_within(time: Duration, heartbeat: impl AsyncFn()) -> u32 {
        let signs = Cell::new(0);
        let sign = || async { signs.set(signs.get() + 1) };
        let _ = tokio::time::timeout(time, run(PERIOD, || heartbeat(), sign)).await;
        signs.get()
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_gives_three_signs_in_a_period() {
        assert_eq!(signs_within(10 * PERIOD - Duration::from_secs(1), async || {}).await, 30);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_gives_none() {
        let asked = Cell::new(0);
        let hangs_from_the_third = async || {
            asked.set(asked.get() + 1);
            if asked.get() >= 3 {
                pending::<()>().await;
            }
        };
        assert_eq!(signs_within(10 * PERIOD, hangs_from_the_third).await, 2);
        assert_eq!(asked.get(), 3, "asked once, however long it takes");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slow_gives_a_sign_as_soon_as_it_answers() {
        let begun = Instant::now();
        let (signs, slow) = (Cell::new(None), Duration::from_secs(25));
        let sign = || async { signs.set(signs.get().or(Some(begun.elapsed()))) };
        let _ = tokio::time::timeout(PERIOD, run(PERIOD, || sleep(slow), sign)).await;
        assert_eq!(signs.get(), Some(slow));
    }
}
