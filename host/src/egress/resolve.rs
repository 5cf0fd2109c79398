//! Names become addresses on threads of their own.
//!
//! The C library's lookup blocks, for minutes when a name server is silent, and cannot be ended. Tokio would give it a thread of its
//! blocking pool: the end of the runtime waits for it, and each new attempt takes one more of them until the pool has none left
//! for others. Here a lookup that hangs is waited for by whoever asks for the same name next, and by nobody at the end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Stands for the system's own: name and port to addresses.
type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// What a lookup has found; nothing while it lasts.
type Found = watch::Receiver<Option<Result<Vec<SocketAddr>, Arc<io::Error>>>>;

/// One lookup at a time for each name.
pub struct Resolver {
    lookup: Arc<Lookup>,
    running: Mutex<HashMap<(String, u16), Found>>,
}

// === impl Resolver ===

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }
}

impl Resolver {
    pub fn new(lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), running: Mutex::default() }
    }

    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let mut found = self.ask(host, port)?;
        let addresses = match found.wait_for(Option::is_some).await {
            Ok(found) => found.clone(),
            Err(_) => return Err(io::Error::other("the lookup ended without an answer")),
        };
        addresses.unwrap_or_else(|| Ok(Vec::new())).map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    /// Joins the lookup that is under way, or begins one.
    fn ask(&self, host: &str, port: u16) -> io::Result<Found> {
        let name = (host.to_owned(), port);
        let mut running = self.running();
        // Not one that has ended: what it found may be old.
        if let Some(found) = running.get(&name).filter(|found| matches!(found.has_changed(), Ok(false))) {
            return Ok(found.clone());
        }
        let (tell, found) = watch::channel(None);
        let (lookup, host) = (self.lookup.clone(), name.0.clone());
        let look = move || _ = tell.send_replace(Some(lookup(&host, port).map_err(Arc::new)));
        std::thread::Builder::new().name("lookup".into()).spawn(look)?;
        running.insert(name, found.clone());
        Ok(found)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<(String, u16), Found>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[tokio::test]
    async fn a_number_is_an_address_and_asks_nobody() {
        let resolver = Resolver::new(|_, _| panic!("nobody is to be asked"));
        assert_eq!(resolver.resolve("127.0.0.1", 1).await.unwrap(), [address(1)]);
        assert_eq!(resolver.resolve("::1", 1).await.unwrap(), ["[::1]:1".parse().unwrap()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_hangs_is_joined_and_not_repeated() {
        let (go, gate) = mpsc::channel();
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Mutex::new(gate));
        let counted = asked.clone();
        let resolver = Resolver::new(move |_, port| {
            counted.fetch_add(1, Ordering::Relaxed);
            gate.lock().unwrap().recv().map_err(io::Error::other)?;
            Ok(vec![address(port)])
        });
        for _ in 0..3 {
            let late = tokio::time::timeout(Duration::from_secs(10), resolver.resolve("broker", 7)).await;
            assert!(late.is_err(), "it hangs");
        }
        // Who asks is there before the lookup ends: after it, the name would be asked for anew.
        let (found, ()) = tokio::join!(resolver.resolve("broker", 7), async { go.send(()).unwrap() });
        assert_eq!(found.unwrap(), [address(7)]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_was_found_is_asked_for_again_and_an_error_is_one() {
        let asked = AtomicUsize::new(0);
        let resolver = Resolver::new(move |_, port| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(vec![address(port)]),
            _ => Err(io::ErrorKind::NotFound.into()),
        });
        assert!(resolver.resolve("broker", 7).await.is_ok());
        assert_eq!(resolver.resolve("broker", 7).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
