//! Until when our own certificate is good. Whether it is, the server says; here it is said early enough for somebody to renew it.

use std::path::Path;

use rustls::pki_types::CertificateDer;

use crate::base::clock::unix_ms;
use crate::base::utc::Utc;
use crate::tls::certificate::Details;

/// As people who issue certificates warn.
const AHEAD: u64 = 30 * 24 * 60 * 60;

/// What is doubtful about the dates of a certificate.
pub fn doubt(path: &Path, certificate: &CertificateDer<'_>) -> Option<String> {
    let (now, end) = (unix_ms() / 1_000, Details::read(certificate)?.not_after);
    let (path, clock, end_shown) = (path.display(), Utc(now), Utc(end));
    match end.saturating_sub(now) {
        0 => Some(format!(
            "the certificate `{path}` has expired at {end_shown}, and the clock of this machine says {clock}; renew it"
        )),
        left if left < AHEAD => Some(format!(
            "the certificate `{path}` ends at {end_shown}: renew it; a new file is used without a restart"
        )),
        _ => None,
    }
}
