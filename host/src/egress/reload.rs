//! Certificates, keys, CAs and revocation lists of an upstream that change while it is connected.

use tokio_util::sync::CancellationToken;

use super::prepare::Prepared;
use super::status::Reporter;
use crate::base::excerpt::Excerpt;
use crate::base::watched_files::watch;

/// Never ends: who waits for it waits for something else, too.
pub async fn follow(upstream: &Prepared, reporter: Reporter, stop: CancellationToken) {
    if let Some(tls) = upstream.tls().filter(|tls| !tls.files().is_empty()) {
        let (name, tls) = (upstream.spec.name.clone(), tls.clone());
        watch(tls.files(), stop, move || match tls.reload() {
            Ok(doubts) => {
                tracing::info!(upstream = name, "files of TLS have changed, and are used from the next connection on");
                doubts.iter().for_each(|doubt| tracing::warn!(upstream = name, "{doubt}"));
                reporter.files(None);
                true
            }
            Err(error) => {
                let error = Excerpt(&error.to_string()).to_string();
                tracing::warn!(
                    upstream = name,
                    "files of TLS have changed and cannot be used, the old ones stay in use: {error}"
                );
                reporter.files(Some(error));
                false
            }
        })
        .await;
    }
    std::future::pending().await
}
