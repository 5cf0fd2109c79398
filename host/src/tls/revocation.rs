//! Certificate revocation lists: until when they are fresh, and why one cannot be used.

use rustls::CertRevocationListError;
use rustls::pki_types::CertificateRevocationListDer;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use super::certificate::seconds;

/// Seconds since the Unix epoch, when the CA promises a newer one.
pub fn next_update(list: &CertificateRevocationListDer<'_>) -> Option<u64> {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list).ok()?;
    list.tbs_cert_list.next_update.map(seconds)
}

/// Why a list cannot be used, and how to make one that can.
pub fn explain(error: &CertRevocationListError) -> String {
    match error {
        // A list of version 1 has no version in it, so that it looks like anything else.
        CertRevocationListError::UnsupportedCrlVersion | CertRevocationListError::ParseError => {
            "it cannot be read: `openssl crl -noout -text` shows whether it is one, and of version 1; make one of version 2: `crlnumber` and \
             `default_crl_days` in the configuration of `openssl ca -gencrl`"
                .into()
        }
        CertRevocationListError::UnsupportedDeltaCrl => "it is a delta list; give the complete one".into(),
        CertRevocationListError::UnsupportedIndirectCrl => {
            "it is an indirect list, for certificates of other CAs; give the list of each CA".into()
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::chain_revocation::verifier;
    use crate::tls::files::revocation_lists;
    use rustls::RootCertStore;
    use std::sync::Arc;
    use tidegate_tests::openssl::Openssl;
    use tidegate_tests::tls::Authority;

    #[test]
    fn a_list_without_a_number_is_used_and_one_of_version_1_is_refused_with_what_to_set() {
        let openssl = Openssl::with_ca();
        let index = openssl.path("ca.index");
        let config = format!(
            "[ca]\ndefault_ca=d\n[d]\ndatabase={}\ndefault_md=sha256\ndefault_crl_days=30\n[two]\nauthorityKeyIdentifier=keyid\n",
            index.display()
        );
        openssl.write("plain.cnf", config);
        let mut roots = RootCertStore::empty();
        let anchor = crate::tls::files::certificates(&openssl.path("ca.pem")).unwrap().remove(0);
        roots.add(anchor).unwrap();
        let (roots, provider) = (Arc::new(roots), Arc::new(rustls::crypto::ring::default_provider()));
        let list = |extensions: &str| {
            openssl
                .run(&format!("ca -config plain.cnf -gencrl -keyfile ca.key -cert ca.pem -out list.crl {extensions}"));
            revocation_lists(&openssl.path("list.crl")).unwrap().value
        };
        let two = list("-crlexts two");
        assert!(next_update(&two[0]).is_some());
        assert!(verifier(&provider, roots.clone(), two).is_ok());
        let Err(rustls::server::VerifierBuilderError::InvalidCrl(why)) = verifier(&provider, roots, list("")) else {
            panic!("version 1 is not known to rustls");
        };
        assert!(explain(&why).contains("`crlnumber`"));
    }

    #[test]
    fn a_list_tells_until_when_it_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let (authority, path) = (Authority::new("ca"), folder.path().join("crl"));
        let pem = authority.revoke(&[7], 30) + &authority.revoke(&[8], 30);
        std::fs::write(&path, pem).unwrap();
        let both = revocation_lists(&path).unwrap().value;
        assert_eq!(both.len(), 2);
        let in_30_days = crate::base::clock::unix_ms() / 1_000 + 30 * 86_400;
        assert!(next_update(&both[0]).unwrap().abs_diff(in_30_days) < 60);
    }
}
