//! What a listener with TLS shows to devices, and until when.

use super::{Finding, Verdict};
use crate::base::utc::Utc;
use crate::ingress::tls::Acceptor;
use crate::tls::certificate::{Details, KeyKind};

/// What cannot be used at all has been refused before.
pub fn look(acceptor: &Acceptor) -> Vec<Finding> {
    let snapshot = acceptor.snapshot();
    let about = format!("listener {}", snapshot.listener);
    let doubts = snapshot.warnings.into_iter().map(|text| Finding::new(about.as_str(), Verdict::Doubtful, text));
    let shown = acceptor.certificate().map_or_else(
        || "its certificate cannot be looked into, and is shown to devices as it is".to_owned(),
        |certificate| describe(&certificate),
    );
    [Finding::new(about.as_str(), Verdict::Good, shown)].into_iter().chain(doubts).collect()
}

/// A note and no doubt: RSA works for nearly all of them.
fn describe(certificate: &Details) -> String {
    let Details { subject, not_after, key, .. } = certificate;
    let advice = match key {
        KeyKind::P256 => "",
        KeyKind::Rsa | KeyKind::Other => {
            "; a key of P-256 is recommended: more devices know it, and a handshake takes a tenth of the work of RSA"
        }
    };
    format!("certificate of {subject}, until {}, with a key of {key}{advice}", Utc(*not_after))
}
