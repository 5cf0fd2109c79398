//! Until when our own certificate is good. Whether it is, the server says; here it is said early enough for somebody to renew it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::utc::Utc;
use crate::tls::der;

/// As people who issue certificates warn.
const AHEAD: u64 = 30 * 24 * 60 * 60;

/// What is doubtful about the dates of a certificate, in DER.
pub fn doubt(path: &Path, certificate: &[u8]) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let end = der::certificate(certificate)?.not_after.filter(|end| *end < now.saturating_add(AHEAD))?;
    let (path, clock, end_shown) = (path.display(), Utc(now), Utc(end));
    Some(match end < now {
        true => format!("the certificate `{path}` has expired at {end_shown}, and the clock of this machine says {clock}; renew it"),
        false => format!("the certificate `{path}` ends at {end_shown}: renew it; a new file is used without a restart"),
    })
}
