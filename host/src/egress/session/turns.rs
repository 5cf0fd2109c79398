//! Reading, writing and the clock take turns, so that none of them waits for ever behind another that is always ready.
//!
//! In a fixed order, where `select!` takes one by chance: the same run twice is the same, which the simulator needs. Who comes back
//! from waiting begins with reading, because a process that was stopped for a while finds the answer beside the deadline for it.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

pub enum Event {
    Read(io::Result<usize>),
    Wrote(io::Result<()>),
    Due,
}

/// Who is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    #[default]
    Reading,
    Writing,
    Clock,
}

/// The next of the three that is ready. A `None` is left out.
pub async fn next(
    turn: &mut Turn,
    read: Option<impl Future<Output = io::Result<usize>>>,
    write: Option<impl Future<Output = io::Result<()>>>,
    clock: impl Future<Output = ()>,
) -> Event {
    let (read, write, clock) = (pin!(or_never(read)), pin!(or_never(write)), pin!(clock));
    let (mut read, mut write, mut clock) = (read, write, clock);
    let event = poll_fn(|cx| {
        for asked in turn.round() {
            let event = match asked {
                Turn::Reading => read.as_mut().poll(cx).map(Event::Read),
                Turn::Writing => write.as_mut().poll(cx).map(Event::Wrote),
                Turn::Clock => clock.as_mut().poll(cx).map(|()| Event::Due),
            };
            if event.is_ready() {
                return event;
            }
        }
        *turn = Turn::Reading;
        Poll::Pending
    });
    let event = event.await;
    *turn = event.next();
    event
}

async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

// === impl Turn ===

impl Turn {
    fn round(self) -> [Self; 3] {
        match self {
            Self::Reading => [Self::Reading, Self::Writing, Self::Clock],
            Self::Writing => [Self::Writing, Self::Clock, Self::Reading],
            Self::Clock => [Self::Clock, Self::Reading, Self::Writing],
        }
    }
}

// === impl Event ===

impl Event {
    fn next(&self) -> Turn {
        match self {
            Self::Read(_) => Turn::Writing,
            Self::Wrote(_) => Turn::Clock,
            Self::Due => Turn::Reading,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Read(_) => "read",
            Event::Wrote(_) => "wrote",
            Event::Due => "due",
        }
    }

    #[tokio::test]
    async fn what_is_always_ready_leaves_the_others_their_turn() {
        let (mut turn, mut heard) = (Turn::default(), Vec::new());
        for _ in 0..6 {
            let event = next(&mut turn, Some(ready(Ok(1))), Some(ready(Ok(()))), ready(())).await;
            heard.push(name(&event));
        }
        assert_eq!(heard, ["read", "wrote", "due", "read", "wrote", "due"]);
    }

    #[tokio::test]
    async fn what_is_left_out_never_comes() {
        let mut turn = Turn::Writing;
        let event = next(&mut turn, Some(ready(Ok(1))), None::<std::future::Pending<_>>, pending()).await;
        assert_eq!(name(&event), "read");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_reads_first_although_a_deadline_has_passed() {
        let mut turn = Turn::Clock;
        let late = || tokio::time::sleep(std::time::Duration::from_secs(1));
        let reading = async {
            late().await;
            Ok(1)
        };
        let event = next(&mut turn, Some(reading), None::<std::future::Pending<_>>, late()).await;
        assert_eq!(name(&event), "read");
    }
}
