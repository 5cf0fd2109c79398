//! A private key under a passphrase (PKCS#8 EncryptedPrivateKeyInfo with PBES2, RFC 8018), as `openssl pkcs8 -topk8` and `openssl genpkey` write it.
//!
//! Not taken: PBES1, and the old form in which the PEM section itself is encrypted (`Proc-Type: 4,ENCRYPTED`). Their keys are made with
//! one to some rounds of MD5 or SHA-1; a copy of such a file is as good as the key. openssl makes a good one of them in one line.

use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use rustls::pki_types::PrivatePkcs8KeyDer;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    #[error(
        "is encrypted with a passphrase: put it into a file and set `key_passphrase_file` beside `key`, or write the key anew without: `openssl pkey -in OLD -out NEW`"
    )]
    NoPassphrase,
    #[error("does not open with the passphrase of `key_passphrase_file`")]
    WrongPassphrase,
    #[error(
        "is encrypted in a way that is not known here (known is PBES2 with AES or 3DES in CBC mode, and PBKDF2 or scrypt), or is damaged; {NEW_ENCRYPTION}"
    )]
    Scheme,
    #[error("is encrypted with {0}, more than a start may take; {NEW_ENCRYPTION}")]
    TooMuch(String),
}

/// Where the key is to be written anew.
pub const NEW_ENCRYPTION: &str = "write it anew: `openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW`";

/// Of PBKDF2. OpenSSL's default is 2,048, recommended are 600,000 (OWASP); this takes seconds on a small board.
const MOST_ROUNDS: u32 = 10_000_000;
/// Of scrypt. OpenSSL takes 16 MiB, and opens nothing above 32.
const MOST_MEMORY: u64 = 64 * 1024 * 1024;
/// Passes of scrypt, each over all of the memory. OpenSSL takes one.
const MOST_PASSES: u16 = 16;

pub fn decrypt(der: &[u8], passphrase: Option<&[u8]>) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
    let info = EncryptedPrivateKeyInfo::try_from(der).map_err(|_| KeyError::Scheme)?;
    let EncryptionScheme::Pbes2(scheme) = &info.encryption_algorithm else { return Err(KeyError::Scheme) };
    within_limits(&scheme.kdf)?;
    let passphrase = passphrase.ok_or(KeyError::NoPassphrase)?;
    let key = info.decrypt(passphrase).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm { .. }) => KeyError::Scheme,
        // A wrong key leaves padding that is none, or, one time in 256, bytes that are no key.
        _ => KeyError::WrongPassphrase,
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()))
}

/// The file is the operator's own; what it asks for may be a mistake all the same, or what another machine can afford.
fn within_limits(kdf: &Kdf<'_>) -> Result<(), KeyError> {
    match kdf {
        Kdf::Pbkdf2(costs) if costs.iteration_count > MOST_ROUNDS => {
            Err(KeyError::TooMuch(format!("{} rounds of PBKDF2", costs.iteration_count)))
        }
        Kdf::Scrypt(costs) => {
            let memory = costs.cost_parameter.saturating_mul(128).saturating_mul(costs.block_size.into());
            match memory > MOST_MEMORY || costs.parallelization > MOST_PASSES {
                true => {
                    Err(KeyError::TooMuch(format!("scrypt in {memory} bytes and {} passes", costs.parallelization)))
                }
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use pkcs8::der::Encode as _;
    use pkcs8::pkcs5::{pbes2, scrypt};

    use super::*;

    fn decrypted(scheme: pbes2::Parameters<'_>) -> Result<PrivatePkcs8KeyDer<'static>, KeyError> {
        let info = EncryptedPrivateKeyInfo { encryption_algorithm: scheme.into(), encrypted_data: &[0; 16] };
        decrypt(&info.to_der().unwrap(), Some(b"secret"))
    }

    #[test]
    fn costs_that_no_start_can_pay_are_refused_before_they_are_paid() {
        let rounds = |rounds| decrypted(pbes2::Parameters::pbkdf2_sha256_aes256cbc(rounds, &[1; 8], &[2; 16]).unwrap());
        assert!(matches!(rounds(MOST_ROUNDS + 1), Err(KeyError::TooMuch(what)) if what.contains("10000001 rounds")));
        assert_eq!(rounds(1).unwrap_err(), KeyError::WrongPassphrase);
        let scrypt = |log_n, passes| {
            let costs = scrypt::Params::new(log_n, 8, passes, 32).unwrap();
            decrypted(pbes2::Parameters::scrypt_aes256cbc(costs, &[1; 8], &[2; 16]).unwrap())
        };
        assert!(matches!(scrypt(20, 1), Err(KeyError::TooMuch(_))));
        assert!(matches!(scrypt(14, 1_000), Err(KeyError::TooMuch(_))));
        assert_eq!(scrypt(4, 1).unwrap_err(), KeyError::WrongPassphrase);
    }

    #[test]
    fn what_is_no_such_structure_is_refused_with_what_to_type() {
        for bytes in [&b""[..], b"\x30\x00", &[0x30; 64]] {
            let error = decrypt(bytes, None).unwrap_err();
            assert!(error == KeyError::Scheme && error.to_string().contains("openssl pkcs8"), "{error}");
        }
    }
}
