//! The part of `tidegate explain` that is about access: may this user do that, and which line says so.

use std::fmt;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::explain::Args;
use crate::access::{Action, Decision, Granted, Identity};
use crate::base::plain::line;
use crate::config::{Config, did_you_mean};
use crate::topic::{SharedFilter, TopicName};

/// What is asked on the command line.
#[derive(Debug)]
pub enum Question {
    /// What becomes of a message.
    Topic(TopicName),
    Publish(TopicName),
    /// A filter; a topic is one, too.
    Subscribe(String),
}

/// What one client may do.
pub struct Rights {
    granted: Granted,
    identity: Identity,
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Right {
    action: String,
    topic: String,
    user: Option<String>,
    client: String,
    listener: String,
    allowed: bool,
    /// Of the line that decided.
    file: Option<String>,
    line: Option<usize>,
    reason: String,
}

// === impl Question ===

impl Question {
    pub fn read(words: &[String]) -> Result<Self, String> {
        let name = |text: &str| TopicName::parse(text).map_err(|error| format!("`{text}`: {error}"));
        match words {
            [topic] => Ok(Self::Topic(name(topic)?)),
            [action, topic] if action == "publish" => Ok(Self::Publish(name(topic)?)),
            [action, filter] if action == "subscribe" => {
                SharedFilter::parse(filter).map_err(|error| format!("`{filter}`: {error}"))?;
                Ok(Self::Subscribe(filter.clone()))
            }
            [other, ..] => Err(format!("`{other}` is neither `publish` nor `subscribe`")),
            [] => Err("name a topic".to_owned()),
        }
    }
}

// === impl Rights ===

impl Rights {
    pub fn of(config: &Config, args: &Args) -> anyhow::Result<Self> {
        let names: Vec<&str> = config.broker.listeners.iter().map(|listener| listener.name.as_str()).collect();
        let listener = match args.listener.as_deref() {
            Some(name) if !names.contains(&name) => {
                bail!("no listener is called `{name}`: {}", did_you_mean(name, &names, "there are none"))
            }
            Some(name) => name,
            None => names.first().context("there is no listener")?,
        };
        let (user, client) = (args.user.as_deref().map(Into::into), args.client.as_str().into());
        let identity = Identity { user, client, listener: listener.into() };
        Ok(Self { granted: crate::app::access::of(config).of(&identity), identity })
    }

    pub fn publish(&self, topic: &TopicName) -> Right {
        let mut right = self.right(Action::Publish, topic.as_str(), self.granted.decide(Action::Publish, topic));
        if topic.is_gateways_own() {
            let reason = "the topic belongs to the gateway: devices may read there".to_owned();
            right = Right { allowed: false, file: None, line: None, reason, ..right };
        }
        right
    }

    /// Of a filter with wildcards: whether some topic that it matches may be received.
    pub fn subscribe(&self, text: &str) -> anyhow::Result<Right> {
        let filter = SharedFilter::parse(text)?.filter;
        Ok(self.right(Action::Subscribe, text, self.granted.decide_filter(&filter)))
    }

    fn right(&self, action: Action, topic: &str, decision: Decision) -> Right {
        let (Identity { user, client, listener }, place) = (&self.identity, decision.ground.place());
        Right {
            action: action.to_string(),
            topic: topic.to_owned(),
            user: user.as_deref().map(Into::into),
            client: client.to_string(),
            listener: listener.to_string(),
            allowed: decision.is_allowed,
            file: place.map(|place| place.file.to_string()),
            line: place.map(|place| place.line),
            reason: decision.ground.to_string(),
        }
    }
}

// === impl Right ===

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, listener, .. } = self;
        let (topic, client, reason) = (line(&self.topic), line(&self.client), line(&self.reason));
        let word = if self.allowed { "allowed" } else { "denied" };
        let user = self.user.as_ref().map_or("nobody".to_owned(), |user| format!("user {}", line(user)));
        writeln!(f, "{word}: {action} {topic}, as {user}, client {client}, at the listener {listener}")?;
        writeln!(f, "    by {reason}")
    }
}
