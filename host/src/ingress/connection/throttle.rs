//! How much one client may send in a second. What is beyond that is not read, and TCP holds it back: nothing is dropped, QoS 0 neither.
//!
//! - *Messages* are packets that ask for something: PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ. Acks are answers to what we have sent, and count as
//!   bytes only.
//! - *Bytes* are paid for after they are read, because a packet is as large as it is: what is owed is waited for before anything
//!   else is taken up.
//! - A second's worth may come at once from a client that was quiet before. A new connection has not been, and begins without: nobody has more by
//!   connecting again.
//! - Pauses are never very short, so that a client that floods does not wake us for each of its messages.

use std::num::NonZeroU32;
use std::pin::Pin;

use tokio::time::Sleep;

use super::*;
use crate::base::token_bucket::TokenBucket;

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// A bucket counts no finer than this: by the nanosecond, its intervals would be rounded too much.
const MOST_TOKENS_PER_SECOND: u32 = 1_000_000;

/// Boxed: most connections have none.
pub(super) struct Throttle {
    messages: Option<TokenBucket>,
    bytes: Option<ByteRate>,
    /// One message may be taken up.
    has_permit: bool,
    /// Until when nothing is.
    pause: Option<Pin<Box<Sleep>>>,
}

struct ByteRate {
    bucket: TokenBucket,
    /// In one token.
    token: u32,
    /// Read, and not paid for.
    owed: usize,
}

// === impl Throttle ===

impl Throttle {
    pub fn new(limits: &BrokerLimits, now: Instant) -> Option<Box<Self>> {
        let (messages, bytes) = (limits.max_messages_per_second, limits.max_bytes_per_second);
        (messages.is_some() || bytes.is_some()).then(|| {
            let messages = messages.map(|messages| bucket(messages, now));
            let bytes = bytes.map(|bytes| ByteRate::new(bytes, now));
            Box::new(Self { messages, bytes, has_permit: true, pause: None })
        })
    }

    pub fn read(&mut self, bytes: usize) {
        if let Some(read) = &mut self.bytes {
            read.owed += bytes;
        }
    }

    pub fn taken_up(&mut self, packet: &Packet) {
        self.has_permit &= !asks(packet);
    }

    pub fn pauses(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether nothing is taken up now: begins a pause, when it is time for one.
    pub fn begins_pause(&mut self, now: Instant) -> bool {
        if self.pause.is_none() {
            let until = self.wait(now).map(|until| until.max(now + SHORTEST_PAUSE));
            self.pause = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
        }
        self.pauses()
    }

    /// Returns at the end of a pause; never, without one.
    pub async fn resumed(of: &mut Option<Box<Self>>) {
        let Some(throttle) = of else { return std::future::pending().await };
        let Some(pause) = &mut throttle.pause else { return std::future::pending().await };
        pause.as_mut().await;
        throttle.pause = None;
    }

    /// Pays what is owed, and gets a permit; or says when there will be more to pay with.
    fn wait(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.bytes.as_mut().and_then(|bytes| bytes.pay(now).err()) {
            return Some(until);
        }
        if !self.has_permit
            && let Some(messages) = &mut self.messages
            && let Err(until) = messages.take_or_when(1, now.into_std())
        {
            return Some(until.into());
        }
        self.has_permit = true;
        None
    }
}

// === impl ByteRate ===

impl ByteRate {
    fn new(per_second: NonZeroU32, now: Instant) -> Self {
        let token = per_second.get().div_ceil(MOST_TOKENS_PER_SECOND);
        let tokens = NonZeroU32::new(per_second.get() / token).unwrap_or(NonZeroU32::MIN);
        Self { bucket: bucket(tokens, now), token, owed: 0 }
    }

    /// All that is owed, in parts no larger than a burst.
    fn pay(&mut self, now: Instant) -> Result<(), Instant> {
        loop {
            let tokens = u32::try_from(self.owed / self.token as usize).unwrap_or(u32::MAX).min(self.bucket.burst());
            if tokens == 0 {
                return Ok(());
            }
            self.bucket.take_or_when(tokens, now.into_std())?;
            self.owed -= tokens as usize * self.token as usize;
        }
    }
}

fn bucket(per_second: NonZeroU32, now: Instant) -> TokenBucket {
    TokenBucket::empty(per_second.get(), Duration::from_secs(1) / per_second.get(), now.into_std())
}

fn asks(packet: &Packet) -> bool {
    matches!(packet, Packet::Publish(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingReq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(messages: Option<u32>, bytes: Option<u32>) -> Option<Box<Throttle>> {
        let limits = BrokerLimits {
            max_messages_per_second: messages.and_then(NonZeroU32::new),
            max_bytes_per_second: bytes.and_then(NonZeroU32::new),
            ..BrokerLimits::default()
        };
        Throttle::new(&limits, Instant::now())
    }

    /// As much as it may in this time, one packet or read after the other.
    async fn flood(of: &mut Option<Box<Throttle>>, time: Duration, mut next: impl FnMut(&mut Throttle)) -> u32 {
        let (end, mut count) = (Instant::now() + time, 0);
        while Instant::now() < end {
            let throttle = of.as_mut().unwrap();
            if throttle.begins_pause(Instant::now()) {
                Throttle::resumed(of).await;
            } else {
                next(throttle);
                count += 1;
            }
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn messages_come_at_their_rate_and_acks_do_not_count() {
        let mut of = throttle(Some(100), None);
        let sent = flood(&mut of, Duration::from_secs(10), |of| of.taken_up(&Packet::PingReq)).await;
        assert!((995..=1_001).contains(&sent), "{sent}");
        tokio::time::advance(Duration::from_secs(1)).await;
        let throttle = of.as_mut().unwrap();
        assert!(!throttle.begins_pause(Instant::now()));
        let ack = Packet::PubAck(crate::mqtt::Ack { packet_id: 1, reason: Reason::SUCCESS });
        (0..1_000).for_each(|_| throttle.taken_up(&ack));
        assert!(!throttle.begins_pause(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_quiet_has_the_worth_of_one_second_at_once_and_a_new_connection_has_not() {
        let mut of = throttle(Some(50), None);
        let at_once = |throttle: &mut Throttle| {
            (0..1_000)
                .take_while(|_| {
                    let may = !throttle.begins_pause(Instant::now());
                    throttle.taken_up(&Packet::PingReq);
                    may
                })
                .count()
        };
        assert_eq!(at_once(of.as_mut().unwrap()), 1);
        Throttle::resumed(&mut of).await;
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(at_once(of.as_mut().unwrap()), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_their_rate_whatever_the_size_of_a_read_is() {
        for (rate, read) in [(100_000, 4_096), (1_000, 4_096), (500_000_000, 65_536), (10_000, 1)] {
            let mut of = throttle(None, Some(rate));
            let time = Duration::from_secs(20);
            let reads = flood(&mut of, time, |of| of.read(read)).await;
            let (bytes, most) = (f64::from(reads) * read as f64, f64::from(rate) * time.as_secs_f64());
            assert!(
                bytes > 0.97 * most && bytes <= 1.03 * most + 2.0 * read as f64,
                "{rate} {read}: {bytes} of {most}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_not_woken_for_each_message() {
        let mut of = throttle(Some(10_000), None);
        let mut pauses = 0;
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            if of.as_mut().unwrap().begins_pause(Instant::now()) {
                pauses += 1;
                Throttle::resumed(&mut of).await;
            } else {
                of.as_mut().unwrap().taken_up(&Packet::PingReq);
            }
        }
        assert!((40..=51).contains(&pauses), "{pauses}");
    }

    #[test]
    fn without_limits_there_is_none() {
        assert!(Throttle::new(&BrokerLimits::default(), Instant::now()).is_none());
    }
}
