//! Who the clients of a listener are, before they get a session: what they have to prove, and which client identifiers are theirs.

use std::sync::Arc;

use bytes::Bytes;

use super::handshake::Refusal;
use super::peer::Peer;
use crate::auth::{Passwords, Refused, User};
use crate::config::ClientIds;
use crate::mqtt::{Connect, Reason};

/// What one listener asks.
#[derive(Default)]
pub struct Identities {
    pub passwords: Option<Arc<Passwords>>,
    pub client_ids: Option<ClientIds>,
}

/// What a CONNECT says of its user, apart from the rest of it: a password is not kept longer than it is looked at.
pub struct Credentials {
    name: Option<String>,
    password: Option<Bytes>,
}

/// Who it is.
#[derive(Debug)]
pub struct Proof {
    pub user: Option<Arc<str>>,
    /// The line of the password file that was asked.
    pub login: Option<Arc<User>>,
}

const WRONG: &str = "user name or password is wrong";
const NO_CLIENT_ID: &str = "its user may not have this client identifier: `client_id` of the listener says which";

// === impl Credentials ===

impl Credentials {
    pub fn take(connect: &mut Connect) -> Self {
        let password = connect.password.take().map(|password| password.0);
        Self { name: connect.username.clone(), password }
    }

    /// A name that was sent and not proved.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

// === impl Identities ===

impl Identities {
    /// Whether user names are looked at here.
    pub fn asks_for_passwords(&self) -> bool {
        self.passwords.is_some()
    }

    /// Who a certificate says it is, or a password. What may be logged of a user who is not let in: a name that stands in the file, and none
    /// that does not, because people type passwords there.
    pub async fn prove(&self, peer: &Peer, said: &Credentials) -> Result<Proof, (Refusal, Option<String>)> {
        let Some(passwords) = &self.passwords else { return Ok(Proof { user: peer.name.clone(), login: None }) };
        let (Some(name), Some(password)) = (&said.name, &said.password) else {
            return Err((refusal(Refused::NoPassword), None));
        };
        match passwords.check(peer.address.ip(), name, password, peer.deadline).await {
            Ok(user) => Ok(Proof { user: Some(user.name.clone()), login: Some(user) }),
            Err(why) => Err((refusal(why), Some(name.clone()).filter(|_| why == Refused::WrongPassword))),
        }
    }

    /// A client identifier for a client that has none. Its user, if that is who it says, may have it.
    pub fn assign(&self, peer: &Peer, said: &Credentials, unique: String) -> String {
        let user = if self.asks_for_passwords() { said.name() } else { peer.name.as_deref() };
        match &self.client_ids {
            Some(client_ids) => client_ids.assign(user, unique),
            None => unique,
        }
    }

    pub fn check_client_id(&self, user: Option<&str>, client_id: &str) -> Result<(), Refusal> {
        let is_allowed = |client_ids: &ClientIds| client_ids.allow(user, client_id);
        match self.client_ids.as_ref().is_none_or(is_allowed) {
            true => Ok(()),
            false => Err((Reason::NOT_AUTHORIZED, NO_CLIENT_ID)),
        }
    }

    /// Whether the user of a client that is in now is there still, with the same password: asked after its session has it, so that a change
    /// of the file meets either this question or the session.
    pub fn still_has(&self, login: Option<&User>) -> bool {
        match (&self.passwords, login) {
            (Some(passwords), Some(user)) => passwords.has(user),
            _ => true,
        }
    }
}

/// Told to the client: the same for a user who is not there and for a password that is wrong.
fn refusal(why: Refused) -> Refusal {
    match why {
        Refused::WrongPassword | Refused::UnknownUser => (Reason::BAD_USER_NAME_OR_PASSWORD, WRONG),
        Refused::NoPassword => (
            Reason::BAD_USER_NAME_OR_PASSWORD,
            "this listener asks for a user name and a password of up to 1,024 bytes",
        ),
        Refused::Limited => (
            Reason::CONNECTION_RATE_EXCEEDED,
            "too many wrong passwords came from this address or for this user: try again in some seconds",
        ),
        Refused::Busy => (
            Reason::SERVER_BUSY,
            "its password was not looked at within broker.limits.handshake_timeout: too many clients connect at once",
        ),
    }
}
