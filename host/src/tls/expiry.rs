//! What ends soon, and has to be made new by somebody.

use crate::base::utc::Utc;

/// A month for those who have to order a certificate, and weeks for those who notice late that nothing renews theirs.
const WARN_BEFORE_DAYS: u64 = 30;
const DAY: u64 = 86_400;

/// When things end, in seconds since the Unix epoch; `None` where there is none, or nobody can read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// When the last certificate of the chain begins.
    pub begin: Option<u64>,
    pub certificate: Option<u64>,
    pub list: Option<u64>,
}

// === impl Ends ===

impl Ends {
    /// A sentence for each that has ended or soon will.
    pub fn warnings(&self, now: u64) -> Vec<String> {
        let certificate = self.certificate.filter(|end| *end <= now + WARN_BEFORE_DAYS * DAY);
        let list = self.list.filter(|end| *end <= now);
        let begin = self.begin.filter(|begin| *begin > now).map(|begin| of_begin(begin, now));
        [begin, certificate.map(|end| of_certificate(end, now)), list.map(of_list)].into_iter().flatten().collect()
    }
}

fn of_begin(begin: u64, now: u64) -> String {
    format!(
        "its certificate is valid from {} on, and the clock of this machine says {}: devices whose clock says the same refuse it; is the clock set?",
        Utc(begin),
        Utc(now)
    )
}

fn of_certificate(end: u64, now: u64) -> String {
    let renew = "renew it and put the new files in the place of the old ones, which are noticed without a restart";
    match end.checked_sub(now) {
        None | Some(0) => format!("its certificate has expired at {}: devices refuse it; {renew}", Utc(end)),
        Some(left) => format!("its certificate expires in {} days, at {}; {renew}", left / DAY, Utc(end)),
    }
}

fn of_list(end: u64) -> String {
    format!(
        "a revocation list of `crl` was to be replaced by {}: it goes on being used, but who has been revoked since then gets in; fetch the new one",
        Utc(end)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000 * DAY;

    fn certificate(end: u64) -> Vec<String> {
        Ends { certificate: Some(end), ..Ends::default() }.warnings(NOW)
    }

    #[test]
    fn a_certificate_is_warned_of_from_30_days_on() {
        assert_eq!(certificate(NOW + 30 * DAY + 1), Vec::<String>::new());
        assert!(certificate(NOW + 30 * DAY)[0].contains("in 30 days"));
        assert!(certificate(NOW + 10)[0].contains("in 0 days, at 1972-09-27 00:00:10"));
        assert!(certificate(NOW)[0].contains("has expired"));
        assert!(certificate(0)[0].contains("has expired at 1970-01-01"));
    }

    #[test]
    fn one_that_has_not_begun_is_warned_of() {
        let begin = |begin| Ends { begin: Some(begin), ..Ends::default() }.warnings(NOW);
        assert_eq!(begin(NOW), Vec::<String>::new());
        assert!(begin(NOW + 1)[0].contains("is valid from 1972-09-27 00:00:01"));
    }

    #[test]
    fn a_list_is_warned_of_when_it_is_old() {
        let list = |end| Ends { list: Some(end), ..Ends::default() }.warnings(NOW);
        assert_eq!(list(NOW + 1), Vec::<String>::new());
        assert!(list(NOW)[0].contains("goes on being used"));
        assert_eq!(Ends::default().warnings(NOW), Vec::<String>::new());
    }
}
