//! Revocation of a whole chain, as far as there are lists for it.
//!
//! rustls checks either the device's certificate alone, or all of the chain, of which every CA then needs a list: a plant that has one list,
//! that of the CA which signs its devices, could let nobody in. So both are asked: the device's certificate has to be in reach of a list, and
//! what is between it and `client_ca` must not be in one.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

#[derive(Debug)]
struct BothVerifiers {
    leaf: Arc<dyn ClientCertVerifier>,
    chain: Arc<dyn ClientCertVerifier>,
}

/// Of devices that show a certificate of one of these. Without lists nothing is revoked.
pub fn verifier(
    provider: &Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let builder = || {
        let builder = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        // Devices have one certificate to show, and small buffers.
        builder.clear_root_hint_subjects()
    };
    if lists.is_empty() {
        return builder().build();
    }
    // An old list goes on being used, and is warned of: a plant whose link to its CA is down must not stop.
    let leaf = builder().with_crls(lists.clone()).only_check_end_entity_revocation().build()?;
    let chain = builder().with_crls(lists).allow_unknown_revocation_status().build()?;
    Ok(Arc::new(BothVerifiers { leaf, chain }))
}

// === impl BothVerifiers ===

impl ClientCertVerifier for BothVerifiers {
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.leaf.verify_client_cert(end_entity, intermediates, now)?;
        self.chain.verify_client_cert(end_entity, intermediates, now)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.leaf.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.leaf.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.leaf.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.leaf.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError;
    use rustls::pki_types::pem::PemObject as _;
    use tidegate_tests::tls::{Authority, Leaf};

    fn verified(by: &Authority, lists: &[String], shown: &[&CertificateDer<'static>]) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(by.certificate.clone()).unwrap();
        let lists = lists.iter().map(|pem| CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(&provider, Arc::new(roots), lists.collect()).unwrap();
        let chain: Vec<_> = shown[1..].iter().map(|der| (*der).clone()).collect();
        verifier.verify_client_cert(shown[0], &chain, UnixTime::now()).map(|_| ())
    }

    fn refused(why: CertificateError) -> Result<(), Error> {
        Err(Error::InvalidCertificate(why))
    }

    #[test]
    fn one_list_of_the_ca_that_signs_devices_is_enough() {
        let root = Authority::new("root");
        let signer = root.intermediate("signer", 50);
        let device = signer.sign(&Leaf { serial: 7, ..Leaf::default() }).certificate;
        let shown = [&device, &signer.certificate];
        assert_eq!(verified(&root, &[], &shown), Ok(()));
        assert_eq!(verified(&root, &[signer.revoke(&[8], 30)], &shown), Ok(()));
        assert_eq!(verified(&root, &[signer.revoke(&[7, 8], 30)], &shown), refused(CertificateError::Revoked));
    }

    #[test]
    fn a_revoked_ca_between_takes_its_devices_with_it() {
        let root = Authority::new("root");
        let signer = root.intermediate("signer", 50);
        let device = signer.sign(&Leaf { serial: 7, ..Leaf::default() }).certificate;
        let lists = [signer.revoke(&[], 30), root.revoke(&[50], 30)];
        assert_eq!(verified(&root, &lists, &[&device, &signer.certificate]), refused(CertificateError::Revoked));
    }

    #[test]
    fn a_device_that_no_list_knows_of_is_not_let_in() {
        let (one, other) = (Authority::new("one"), Authority::new("other"));
        let device = one.sign(&Leaf::default()).certificate;
        let lists = [other.revoke(&[], 30)];
        assert_eq!(verified(&one, &lists, &[&device]), refused(CertificateError::UnknownRevocationStatus));
    }

    #[test]
    fn an_old_list_still_says_who_is_revoked_and_lets_others_in() {
        let authority = Authority::new("ca");
        let sign = |serial| authority.sign(&Leaf { serial, ..Leaf::default() }).certificate;
        let lists = [authority.revoke(&[7], -1)];
        assert_eq!(verified(&authority, &lists, &[&sign(7)]), refused(CertificateError::Revoked));
        assert_eq!(verified(&authority, &lists, &[&sign(8)]), Ok(()));
    }
}
