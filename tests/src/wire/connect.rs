//! CONNECT.

use super::build::{binary, packet, text};
use super::{Properties, Version};

#[derive(Clone, Debug)]
pub struct Connect {
    pub version: Version,
    client_id: String,
    clean: bool,
    keep_alive: u16,
    properties: Properties,
    will: Option<Will>,
    username: Option<String>,
    password: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub struct Will {
    topic: String,
    payload: Vec<u8>,
    qos: u8,
    retain: bool,
    properties: Properties,
}

// === impl Connect ===

impl Connect {
    /// Clean, without keep-alive.
    pub fn new(version: Version, client_id: &str) -> Self {
        let client_id = client_id.to_owned();
        let (username, password) = (None, None);
        Self {
            version,
            client_id,
            clean: true,
            keep_alive: 0,
            properties: Properties::new(),
            will: None,
            username,
            password,
        }
    }

    /// A session that outlives the connection. The expiry is for MQTT 5; 3.1.1 has none.
    pub fn persistent(mut self, expiry_seconds: u32) -> Self {
        self.clean = false;
        if self.version == Version::V5 {
            self.properties = self.properties.long(super::id::SESSION_EXPIRY, expiry_seconds);
        }
        self
    }

    /// The flag alone.
    pub fn clean(mut self, clean: bool) -> Self {
        self.clean = clean;
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub fn with(mut self, properties: impl FnOnce(Properties) -> Properties) -> Self {
        self.properties = properties(self.properties);
        self
    }

    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.username = Some(name.to_owned());
        self.password = Some(password.as_bytes().to_vec());
        self
    }

    /// A user name without a password.
    pub fn username(mut self, name: &str) -> Self {
        self.username = Some(name.to_owned());
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut body = text("MQTT");
        body.push(self.version as u8);
        let of_user = u8::from(self.username.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        body.push(u8::from(self.clean) << 1 | self.will.as_ref().map_or(0, Will::flags) | of_user);
        body.extend(self.keep_alive.to_be_bytes());
        let v5 = self.version == Version::V5;
        if v5 {
            body.extend(self.properties.encode());
        }
        body.extend(text(&self.client_id));
        if let Some(will) = &self.will {
            if v5 {
                body.extend(will.properties.encode());
            }
            body.extend(text(&will.topic));
            body.extend(binary(&will.payload));
        }
        body.extend(self.username.as_ref().map_or(Vec::new(), |name| text(name)));
        body.extend(self.password.as_ref().map_or(Vec::new(), |password| binary(password)));
        packet(0x10, &body)
    }
}

// === impl Will ===

impl Will {
    pub fn new(topic: &str, payload: &str) -> Self {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        Self { topic, payload, qos: 0, retain: false, properties: Properties::new() }
    }

    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub fn with(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    fn flags(&self) -> u8 {
        0x04 | self.qos << 3 | u8::from(self.retain) << 5
    }
}
