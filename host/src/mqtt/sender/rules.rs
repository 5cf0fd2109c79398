//! Where a client that sends to a server and a server that sends to a client differ.

/// Everything else is the same for both.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// What has ended keeps its place in the window and its packet id until its end is durable: so a crash repeats a window's worth at
    /// most, whatever the disk was late with, and recovery may say that what was sent is within the window of the oldest. Without it
    /// an exchange is gone when it ends.
    pub ends_when_durable: bool,
    pub wrong_ack: WrongAck,
    /// New sessions in a row that are begun because the receiver says that an id is in use. One that says so in each of them refuses
    /// the message.
    pub resets: u32,
}

/// PUBACK for QoS 2, or PUBREC for QoS 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongAck {
    /// PUBACK for QoS 2 ends the exchange at QoS 1, PUBREC for QoS 1 goes on as QoS 2. There are servers that know no QoS 2, and to wait
    /// for the right ack would be to wait for ever.
    Counts,
    /// The message stays unacknowledged [MQTT-4.3.2-3, MQTT-4.3.3-3].
    Ignored,
}

// === impl Rules ===

impl Rules {
    /// From us as a client to a server, from a queue that completes in its own time.
    pub const TO_SERVER: Self = Self { ends_when_durable: true, wrong_ack: WrongAck::Counts, resets: 3 };

    /// From us as a server to a client. A client cannot be asked for a new session.
    pub const TO_CLIENT: Self = Self { ends_when_durable: false, wrong_ack: WrongAck::Ignored, resets: 0 };
}
