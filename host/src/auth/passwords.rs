//! User names and passwords as a listener asks for them.
//!
//! The order of what is looked at, for each CONNECT:
//!
//! 1. Has too much been guessed ([`super::limiter`])? Then nothing is hashed.
//! 2. Is it the password that was right the last time ([`super::proven`])? Then it is right.
//! 3. A thread hashes it ([`super::threads`]): against the user's own hash, or for who is not there against another's, which takes as
//!    long. The limiter is asked again then, because much may have been wrong meanwhile.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::{io, mem};

use bytes::Bytes;
use tokio::time::Instant;

use super::limiter::{Guesser, Limiter, network};
use super::proven::{Key, is_proven};
use super::threads::Threads;
use super::users::{Found, MAX_NAME_BYTES, User, Users};
use crate::base::clock;

/// Of a password. Argon2 and PBKDF2 take any length; a kilobyte for each that waits is enough.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

pub struct Passwords {
    users: RwLock<Arc<Users>>,
    limiter: Arc<Limiter>,
    threads: Threads<Verdict>,
    key: Key,
}

/// Why a client is not who it says, for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The password of this user, who is there, or a user who is not there. The client is told the same of both.
    WrongPassword,
    UnknownUser,
    /// No password, or one that nobody can have.
    NoPassword,
    /// Too many were wrong before.
    Limited,
    /// It could not be looked at in time.
    Busy,
}

type Verdict = Result<Arc<User>, Refused>;

/// What a reload has changed.
pub struct Reloaded {
    pub has_changed: bool,
    pub users: usize,
    /// Who is not there any more, or has another password.
    pub ended: Vec<Arc<User>>,
}

// === impl Passwords ===

impl Passwords {
    pub fn new(users: Users) -> io::Result<Self> {
        let (limiter, threads, key) = (Arc::default(), Threads::start()?, Key::new()?);
        Ok(Self { users: RwLock::new(Arc::new(users)), limiter, threads, key })
    }

    /// Whose password this is.
    pub async fn check(&self, address: IpAddr, name: &str, password: &Bytes, deadline: Instant) -> Verdict {
        if name.len() > MAX_NAME_BYTES || password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
            return Err(Refused::NoPassword);
        }
        let guesser = self.limiter.guesser(address, name);
        if !self.limiter.permits(guesser, clock::now()) {
            return Err(Refused::Limited);
        }
        let digest = self.key.digest(name, password);
        let found = self.users().find(name);
        if let Found::User(user) = &found
            && is_proven(user, &digest)
        {
            self.limiter.succeeded(guesser, clock::now());
            return Ok(user.clone());
        }
        let (limiter, password) = (self.limiter.clone(), password.clone());
        let work = move || judge(&limiter, guesser, found, &password, digest);
        self.threads.run(network(address), deadline, work).await.unwrap_or(Err(Refused::Busy))
    }

    /// Whether the file has this user with this password still: asked when the client is in, because it may have changed while its password
    /// was looked at.
    pub fn has(&self, user: &User) -> bool {
        self.users().has(user)
    }

    /// From now on these are the users, unless somebody else has the word by then.
    pub fn replace_if(&self, read: Users, is_wanted: impl FnOnce() -> bool) -> Option<Reloaded> {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        if !is_wanted() {
            return None;
        }
        let new = Arc::new(users.replaced_by(read));
        let old = mem::replace(&mut *users, new.clone());
        drop(users);
        let ended: Vec<_> = old.ended_in(&new).cloned().collect();
        let has_changed = !ended.is_empty() || new.len() != old.len();
        Some(Reloaded { has_changed, users: new.len(), ended })
    }

    fn users(&self) -> Arc<Users> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// On a thread that may take its time.
fn judge(limiter: &Limiter, guesser: Guesser, found: Found, password: &[u8], digest: [u8; 32]) -> Verdict {
    if !limiter.permits(guesser, clock::now()) {
        return Err(Refused::Limited);
    }
    let verdict = match found {
        Found::User(user) if user.hash.is_of(password) => Ok(user),
        Found::User(_) => Err(Refused::WrongPassword),
        Found::StandIn(user) => {
            let _ = user.hash.is_of(password);
            Err(Refused::UnknownUser)
        }
        Found::Nobody => Err(Refused::UnknownUser),
    };
    match &verdict {
        Ok(user) => {
            limiter.succeeded(guesser, clock::now());
            let _ = user.proven.set(digest);
        }
        Err(_) => limiter.failed(guesser, clock::now()),
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::hash::{Method, counted};
    use super::*;

    const SIX: &str =
        "$6$FZD1LQn+7EoEaEtm$F1eZS1vv4cZp4Zm1ZSTBD2todY7pntjIiCDaOucJuQmebgc74/BZvWVZ6YPZ7+sn/vkXtbkQnCfW0AHSLSncjw==";
    const SEVEN: &str = "$7$101$sWWLTZH57aaG2M4a$O6pItTyN+wu9sEd+TtIOR5KwvKL7/iwL6XCZBsk/8JV9OVoRkW8Ho1CpoEnt3hvctiLfkVtJFxrBubOIaAWpdg==";
    const RIGHT: &[u8] = b"correct horse";

    fn users(file: &str) -> Users {
        Users::parse(file.as_bytes()).unwrap()
    }

    fn address() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    async fn check(passwords: &Passwords, name: &str, password: &'static [u8]) -> Result<String, Refused> {
        let verdict = passwords.check(address(), name, &Bytes::from_static(password), in_time()).await;
        verdict.map(|user| user.name.to_string())
    }

    /// What is hashed for one try, by a limiter that lets it.
    fn work(users: &Users, name: &str, password: &[u8]) -> (Vec<Method>, Result<(), Refused>) {
        let limiter = Limiter::default();
        counted::take();
        let verdict = judge(&limiter, limiter.guesser(address(), name), users.find(name), password, [0; 32]);
        (counted::take(), verdict.map(|_| ()))
    }

    #[test]
    fn a_user_who_is_not_there_takes_the_work_of_one_who_is() {
        let of_one_kind = users(&format!("a:{SEVEN}\nb:{SEVEN}"));
        let (wrong, verdict) = work(&of_one_kind, "a", b"wrong");
        assert_eq!((wrong.len(), verdict), (1, Err(Refused::WrongPassword)));
        for name in (0..50).map(|number| format!("nobody{number}")) {
            // Also with a password that is right for the stand-in.
            for password in [b"wrong", RIGHT] {
                assert_eq!(work(&of_one_kind, &name, password), (wrong.clone(), Err(Refused::UnknownUser)));
            }
        }
    }

    #[test]
    fn with_users_of_two_kinds_each_name_takes_the_work_of_one_of_them_each_time() {
        let mixed = users(&format!("a:{SIX}\nb:{SEVEN}"));
        let kinds = [work(&mixed, "a", b"wrong").0, work(&mixed, "b", b"wrong").0];
        let of = |number: usize| work(&mixed, &format!("nobody{number}"), b"wrong").0;
        assert!((0..50).all(|number| kinds.contains(&of(number)) && of(number) == of(number)));
        assert!(kinds.iter().all(|kind| (0..50).any(|number| of(number) == *kind)));
    }

    #[tokio::test]
    async fn who_is_right_is_let_in_and_nobody_else() {
        let passwords = Passwords::new(users(&format!("a:{SIX}\nb:{SEVEN}"))).unwrap();
        for name in ["a", "b", "a"] {
            assert_eq!(check(&passwords, name, RIGHT).await, Ok(name.to_owned()));
            assert_eq!(check(&passwords, name, b"wrong").await, Err(Refused::WrongPassword), "{name} was right before");
        }
        assert_eq!(check(&passwords, "c", RIGHT).await, Err(Refused::UnknownUser));
        for nothing in [&b""[..], &[b'x'; MAX_PASSWORD_BYTES + 1]] {
            assert_eq!(check(&passwords, "a", nothing).await, Err(Refused::NoPassword));
        }
    }

    #[tokio::test]
    async fn a_password_that_was_right_before_needs_no_thread_and_a_changed_one_is_wrong() {
        let passwords = Passwords::new(users(&format!("a:{SIX}\nkept:{SIX}"))).unwrap();
        for name in ["a", "kept"] {
            check(&passwords, name, RIGHT).await.unwrap();
        }
        let (late, right) = (Instant::now(), Bytes::from_static(RIGHT));
        let again = |name: &'static str| passwords.check(address(), name, &right, late);
        assert!(again("a").await.is_ok());
        let new = format!("a:{}\nkept:{SIX}", super::super::Hash::new(b"new", [7; 16]).to_line());
        assert!(passwords.replace_if(users(&new), || false).is_none() && again("a").await.is_ok());
        let reloaded = passwords.replace_if(users(&new), || true).unwrap();
        assert_eq!(reloaded.ended.iter().map(|user| &*user.name).collect::<Vec<_>>(), ["a"]);
        assert!(reloaded.ended.iter().all(|user| !passwords.has(user)));
        assert!(again("kept").await.is_ok());
        assert_eq!(again("a").await.map(|_| ()), Err(Refused::Busy), "it has to be hashed, and there is no time");
        assert_eq!(check(&passwords, "a", RIGHT).await, Err(Refused::WrongPassword));
    }

    #[tokio::test]
    async fn after_so_many_wrong_ones_nothing_is_tried_at_all() {
        let passwords = Passwords::new(users(&format!("a:{SIX}"))).unwrap();
        let mut tried = 0;
        for _ in 0..100 {
            tried += usize::from(check(&passwords, "a", b"wrong").await == Err(Refused::WrongPassword));
        }
        assert!((10..20).contains(&tried), "{tried}");
        assert_eq!(check(&passwords, "a", RIGHT).await, Err(Refused::Limited));
    }
}
