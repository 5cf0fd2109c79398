//! From the device: packets to the session, its actions to bus and pipeline.

use super::*;
use crate::access;
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::base::wake::batch_wakes;
use crate::ingress::session::{Changed, Denial};
use crate::ingress::strict_utf8;
use crate::spool::{Change, Receipt};
use crate::tap;
use crate::topic::MAX_LEVELS;

/// Packets of one turn: those of a read, usually. A flood of small ones has several.
const TURN: usize = 64;

impl<R, W> Connection<R, W> {
    /// Everything that has been read, until the pipeline is full.
    pub(super) fn process_incoming(&mut self) -> Result<(), End> {
        loop {
            let _turn = batch_wakes();
            for _ in 0..TURN {
                if self.is_paused() || self.is_throttled() || !self.process_next()? {
                    return Ok(());
                }
            }
        }
    }

    /// The connection is over: what was read of it still counts, a good-bye among it.
    pub(super) fn last_words(&mut self) -> End {
        loop {
            match self.process_next() {
                Ok(true) => {}
                Ok(false) | Err(End::Because(_)) => return End::Gone,
                Err(end) => return end,
            }
        }
    }

    /// False when the next packet has not arrived in full.
    fn process_next(&mut self) -> Result<bool, End> {
        let packet = self.wire.next_packet().map_err(|error| because(error.reason, error.detail))?;
        let Some(packet) = packet else { return Ok(false) };
        self.throttle.iter_mut().for_each(|throttle| throttle.taken_up(&packet));
        if self.context.limits.strict_utf8
            && let Some((reason, detail)) = strict_utf8::violated(&packet)
        {
            return Err(because(reason, detail));
        }
        if let Packet::PubRel(_) = packet {
            kill_point::reach(KillPoint::ReleaseRead);
        }
        for action in self.session.receive(packet).map_err(End::Because)? {
            self.carry_out(action)?;
        }
        Ok(true)
    }

    pub(super) fn carry_out(&mut self, action: Action) -> Result<(), End> {
        match action {
            Action::Send(packet) => self.wire.send(&packet),
            Action::Accept { message, receipt, identity } => self.accept(message, receipt, identity),
            Action::Store(change, receipt) => self.context.dispatcher.journal().change(vec![change], receipt),
            Action::Close(violation) => return Err(End::Because(violation)),
            Action::Denied(denial) => {
                self.context.metrics.received.increment();
                self.context.metrics.acl_denied.increment();
                self.tell_denied(&denial);
            }
            Action::Subscribe(packet) => {
                let (mailbox, max) = (self.session.mailbox().clone(), self.context.limits.max_subscriptions_per_client);
                let changed = self.session.subscribe(&self.context.bus, &mailbox, &packet, max);
                self.answer(changed, |reasons| Packet::SubAck(ReasonList { packet_id: packet.packet_id, reasons }))?;
            }
            Action::Unsubscribe(packet) => {
                let mailbox = self.session.mailbox().clone();
                let changed = self.session.subscriptions.unsubscribe(&self.context.bus, &mailbox, &packet);
                self.answer(changed, |reasons| Packet::UnsubAck(ReasonList { packet_id: packet.packet_id, reasons }))?;
            }
            Action::Leave { with_will, is_failure, session_expiry } => {
                return Err(self.leave(with_will, is_failure, session_expiry));
            }
        }
        Ok(())
    }

    /// A topic of ours is somebody's mistake or attack, and told to him. One with very many levels may be his usual one, and at 3.1.1 nothing
    /// tells him that his messages go nowhere.
    fn tell_denied(&mut self, denial: &Denial) {
        let client = self.session.client().clone();
        if tap::is_on() {
            self.trace_denied(denial, &client);
        }
        let client = brief(&client);
        match denial {
            Denial::GatewaysOwn(topic) => tracing::debug!(?client, ?topic, "denied: the topic belongs to the gateway"),
            Denial::Rules(topic) => {
                if let Some(suppressed) = self.context.complaints.permit() {
                    let why = self.session.permit().decide(access::Action::Publish, topic).ground;
                    tracing::warn!(?client, ?topic, suppressed, "denied: it may not publish there: {why}");
                }
            }
            Denial::TooDeep => {
                if let Some(suppressed) = self.context.complaints.permit() {
                    tracing::warn!(?client, suppressed, "dropped: a topic of more than {MAX_LEVELS} levels");
                }
            }
        }
    }

    fn trace_denied(&mut self, denial: &Denial, client: &str) {
        let (topic, reason) = match denial {
            Denial::GatewaysOwn(topic) => (topic, "the topic belongs to the gateway".to_owned()),
            Denial::Rules(topic) => {
                (topic, self.session.permit().decide(access::Action::Publish, topic).ground.to_string())
            }
            Denial::TooDeep => return,
        };
        self.context.dispatcher.taps().denied(topic, client, &reason);
    }

    /// At once, or when what it changed is safe. The device decides its size, by what it asks for at once [MQTT-3.1.2-24].
    fn answer(&mut self, changed: Changed, packet: impl FnOnce(Vec<Reason>) -> Packet) -> Result<(), End> {
        let Changed { reasons, changes } = changed;
        self.tell_unsaid(&reasons);
        let packet = packet(reasons);
        let is_too_large = self.wire.codec.size(&packet) > self.peer_maximum_packet_size;
        if self.session.is_durable() {
            let receipt = if is_too_large { Receipt::none() } else { self.session.hold(packet) };
            let journal = self.context.dispatcher.journal();
            journal.change_session(self.session.client(), changes, receipt);
            self.waits_for_room = journal.in_flight().is_over(self.session.client());
        } else if !is_too_large {
            self.wire.send(&packet);
        }
        if is_too_large {
            let detail = "the answer is larger than the device's Maximum Packet Size";
            return Err(because(Reason::PACKET_TOO_LARGE, detail));
        }
        Ok(())
    }

    /// MQTT 3.1 cannot be told that a filter is refused: its SUBACK grants QoS 0, and nothing comes.
    fn tell_unsaid(&self, reasons: &[Reason]) {
        if self.wire.codec.is_3_1()
            && let Some(reason) = reasons.iter().find(|reason| reason.is_failure())
            && let Some(suppressed) = self.context.complaints.permit()
        {
            let client = brief(self.session.client());
            tracing::warn!(?client, suppressed, "a filter is refused, which MQTT 3.1 has no word for: {reason}");
        }
    }

    fn accept(&mut self, mut message: Message, receipt: Receipt, identity: Option<Change>) {
        message.unpin();
        if self.is_gateway {
            message.cross();
        }
        let origin = self.origin();
        let (arrived, changes) = (clock::now(), identity.into_iter().collect());
        let inbound = Inbound { message, origin, arrived, receipt, changes, attempts: 0, caused: None };
        if let Some(pending) = self.context.dispatcher.receive(inbound, &self.context.metrics) {
            self.parked.submit(pending);
        }
    }

    /// One for all messages of a millisecond.
    fn origin(&mut self) -> Arc<Origin> {
        let now = unix_ms();
        if self.origin.arrived_ms != now {
            // Rules may have come since it connected.
            let source = self.origin.source.clone().or_else(|| self.session.permit().source());
            self.origin = Arc::new(Origin { arrived_ms: now, source, ..(*self.origin).clone() });
        }
        self.origin.clone()
    }

    fn leave(&mut self, with_will: bool, is_failure: bool, session_expiry: Option<u32>) -> End {
        if let Some(seconds) = session_expiry {
            if self.ending.session_expiry.is_zero() && seconds > 0 {
                // Section 3.14.2.2.2. It is no good-bye then, and takes no will back.
                return because(Reason::PROTOCOL_ERROR, "a session expiry after CONNECT asked for none");
            }
            self.ending.session_expiry = Duration::from_secs(seconds.into()).min(self.max_expiry);
        }
        if !with_will {
            self.ending.will = None;
        }
        if is_failure { End::Gone } else { End::Left }
    }
}
