//! A hashed password: the one form that is written here, and the two of mosquitto's files, which are read as they are.
//!
//! ```text
//! $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH        PHC string, base64 without `=`; mosquitto 2.1 writes the same
//! $7$ITERATIONS$SALT$HASH                         PBKDF2-HMAC-SHA512
//! $6$SALT$HASH                                    SHA-512 of password and salt: fast to guess, for devices that are there already
//! ```

use argon2::{Algorithm, Argon2, Params};
use base64ct::{Base64, Base64Unpadded, Encoding};
use pbkdf2::pbkdf2_hmac_array;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

/// For new passwords: what OWASP asks for at least. Some hundred devices that connect at once can wait for
/// that on a small board: each takes 19 MiB for a fraction of a second.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

pub const SALT_BYTES: usize = 16;
const ARGON2_BYTES: usize = 32;
const SHA512_BYTES: usize = 64;

/// What one check may take. A line that asks for more would stop all others for seconds, or take the memory of the gateway.
const MAX_MEMORY_KIB: u32 = 64 * 1_024;
const MAX_PASSES: u32 = 20;
const MAX_LANES: u32 = 16;
const MAX_ITERATIONS: u32 = 2_000_000;

/// Of salt and hash in a file. None has more than 64.
const MAX_FIELD_BYTES: usize = 256;

/// How others mark their hashes. Words that are not among these may be a password, and are not repeated.
const KNOWN_ELSEWHERE: [&str; 11] = ["1", "2a", "2b", "2y", "5", "y", "gy", "argon2i", "argon2d", "scrypt", "PBKDF2"];

#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    method: Method,
    salt: Vec<u8>,
    expected: Vec<u8>,
}

/// What a check costs depends on this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Argon2id { memory_kib: u32, passes: u32, lanes: u32 },
    Pbkdf2 { iterations: u32 },
    Sha512,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    #[error("the password is not hashed: set it with `tidegate passwd`, which writes its hash")]
    Plain,
    #[error("a hash of the kind `${0}$` is not read here: set the password anew with `tidegate passwd`")]
    OtherKind(&'static str),
    #[error("the hash is damaged: {0}")]
    Damaged(&'static str),
    #[error("a check of this hash would take too much ({0}): set the password anew with `tidegate passwd`")]
    TooCostly(&'static str),
}

use HashError::{Damaged, TooCostly};

// === impl Hash ===

impl Hash {
    /// As a new password is kept.
    pub fn new(password: &[u8], salt: [u8; SALT_BYTES]) -> Self {
        let method = Method::Argon2id { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };
        let expected = method.compute(password, &salt, ARGON2_BYTES);
        Self { method, salt: salt.to_vec(), expected }
    }

    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut fields = text.split('$');
        if fields.next() != Some("") {
            return Err(HashError::Plain);
        }
        let kind = fields.next().unwrap_or_default();
        let fields: Vec<&str> = fields.collect();
        match (kind, fields.as_slice()) {
            ("argon2id", ["v=19", costs, salt, hash]) => Self::argon2id(costs, salt, hash),
            ("argon2id", _) => Err(Damaged("it is not `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`")),
            ("7", [iterations, salt, hash]) => Self::pbkdf2(iterations, salt, hash),
            ("7", _) => Err(Damaged("it is not `$7$ITERATIONS$SALT$HASH`")),
            ("6", [salt, hash]) => Self::sha512(Method::Sha512, salt, hash),
            ("6", _) => Err(Damaged("it is not `$6$SALT$HASH` as mosquitto writes it")),
            (kind, _) => Err(elsewhere(kind)),
        }
    }

    fn argon2id(costs: &str, salt: &str, hash: &str) -> Result<Self, HashError> {
        let damaged = Damaged("its costs are not `m=…,t=…,p=…`");
        let in_order = ["m=", "t=", "p="].into_iter().zip(costs.split(','));
        let costs: Option<Vec<u32>> = in_order.map(|(name, cost)| cost.strip_prefix(name)?.parse().ok()).collect();
        let Some(&[memory_kib, passes, lanes]) = costs.as_deref() else { return Err(damaged) };
        if memory_kib > MAX_MEMORY_KIB {
            return Err(TooCostly("more than 64 MiB"));
        }
        if passes > MAX_PASSES || lanes > MAX_LANES {
            return Err(TooCostly("more than 20 passes or 16 lanes"));
        }
        let (salt, expected) = (unpadded(salt)?, unpadded(hash)?);
        // The algorithm's own limits: what passes here cannot fail later.
        if Params::new(memory_kib, passes, lanes, Some(expected.len())).is_err() || salt.len() < argon2::MIN_SALT_LEN {
            return Err(damaged);
        }
        Ok(Self { method: Method::Argon2id { memory_kib, passes, lanes }, salt, expected })
    }

    fn pbkdf2(iterations: &str, salt: &str, hash: &str) -> Result<Self, HashError> {
        match iterations.parse() {
            Ok(0) | Err(_) => Err(Damaged("its iterations are no number above 0")),
            Ok(iterations @ 1..=MAX_ITERATIONS) => Self::sha512(Method::Pbkdf2 { iterations }, salt, hash),
            Ok(_) => Err(TooCostly("more than 2,000,000 iterations")),
        }
    }

    fn sha512(method: Method, salt: &str, hash: &str) -> Result<Self, HashError> {
        let (salt, expected) = (padded(salt)?, padded(hash)?);
        if salt.is_empty() || expected.len() != SHA512_BYTES {
            return Err(Damaged("its salt or its hash is too short; a `$6$` of /etc/shadow is another kind"));
        }
        Ok(Self { method, salt, expected })
    }

    pub fn method(&self) -> Method {
        self.method
    }

    /// Takes tens of milliseconds, and the memory of its method: not on a thread that others wait for.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let computed = self.method.compute(password, &self.salt, self.expected.len());
        computed.ct_eq(&self.expected).into()
    }
}

/// As it stands in a file. Only new ones are written, which are argon2id; the lines of others stay as they are.
impl Hash {
    pub fn to_line(&self) -> String {
        let (salt, hash) = (&self.salt, &self.expected);
        match self.method {
            Method::Argon2id { memory_kib, passes, lanes } => {
                let (salt, hash) = (Base64Unpadded::encode_string(salt), Base64Unpadded::encode_string(hash));
                format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
            }
            Method::Pbkdf2 { iterations } => {
                format!("$7${iterations}${}${}", Base64::encode_string(salt), Base64::encode_string(hash))
            }
            Method::Sha512 => format!("$6${}${}", Base64::encode_string(salt), Base64::encode_string(hash)),
        }
    }
}

/// A hash can be guessed from: it gets into no log.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash").field("method", &self.method).finish_non_exhaustive()
    }
}

// === impl Method ===

impl Method {
    fn compute(self, password: &[u8], salt: &[u8], bytes: usize) -> Vec<u8> {
        #[cfg(test)]
        counted::count(self);
        match self {
            Self::Argon2id { memory_kib, passes, lanes } => {
                let mut out = vec![0; bytes];
                let hashed = Params::new(memory_kib, passes, lanes, Some(bytes)).and_then(|params| {
                    let argon2 = Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params);
                    argon2.hash_password_into(password, salt, &mut out)
                });
                // Empty is equal to no expected hash.
                hashed.map_or(Vec::new(), |()| out)
            }
            Self::Pbkdf2 { iterations } => {
                pbkdf2_hmac_array::<Sha512, SHA512_BYTES>(password, salt, iterations).to_vec()
            }
            Self::Sha512 => Sha512::new().chain_update(password).chain_update(salt).finalize().to_vec(),
        }
    }
}

fn padded(text: &str) -> Result<Vec<u8>, HashError> {
    decoded(text, Base64::decode_vec)
}

fn unpadded(text: &str) -> Result<Vec<u8>, HashError> {
    decoded(text, Base64Unpadded::decode_vec)
}

fn decoded(text: &str, decode: fn(&str) -> Result<Vec<u8>, base64ct::Error>) -> Result<Vec<u8>, HashError> {
    match decode(text) {
        Ok(bytes) if bytes.len() <= MAX_FIELD_BYTES => Ok(bytes),
        _ => Err(Damaged("its salt or its hash is no base64")),
    }
}

fn elsewhere(kind: &str) -> HashError {
    KNOWN_ELSEWHERE.into_iter().find(|known| *known == kind).map_or(HashError::Plain, HashError::OtherKind)
}

/// What a thread has hashed, for tests that compare work and not times.
#[cfg(test)]
pub mod counted {
    use std::cell::RefCell;

    use super::Method;

    thread_local! {
        static HASHED: RefCell<Vec<Method>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn count(method: Method) {
        HASHED.with_borrow_mut(|hashed| hashed.push(method));
    }

    pub fn take() -> Vec<Method> {
        HASHED.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by mosquitto_passwd 2.0 for `correct horse`: `-H sha512`, and its default.
    const SIX: &str =
        "$6$FZD1LQn+7EoEaEtm$F1eZS1vv4cZp4Zm1ZSTBD2todY7pntjIiCDaOucJuQmebgc74/BZvWVZ6YPZ7+sn/vkXtbkQnCfW0AHSLSncjw==";
    const SEVEN: &str = "$7$101$sWWLTZH57aaG2M4a$O6pItTyN+wu9sEd+TtIOR5KwvKL7/iwL6XCZBsk/8JV9OVoRkW8Ho1CpoEnt3hvctiLfkVtJFxrBubOIaAWpdg==";

    /// From the reference implementation's tests (`argon2/src/test.c`), for `password`; a salt longer than 48 bytes is none of PHC's and
    /// is mosquitto's.
    const ARGON2ID: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn what_others_have_written_is_the_password_that_they_were_given() {
        for (line, password) in [(SIX, "correct horse"), (SEVEN, "correct horse"), (ARGON2ID, "password")] {
            let hash = Hash::parse(line).unwrap();
            assert!(hash.is_of(password.as_bytes()), "{line}");
            for wrong in ["", "x", "correct horse ", "Password", "password\0"] {
                assert!(!hash.is_of(wrong.as_bytes()), "{wrong:?} {line}");
            }
            assert_eq!(hash.to_line(), line);
        }
    }

    #[test]
    fn a_new_one_is_argon2id_and_another_with_another_salt() {
        let [one, other] = [[1; 16], [2; 16]].map(|salt| Hash::new("pässwörd".as_bytes(), salt));
        assert_ne!(one.to_line(), other.to_line());
        assert!(one.to_line().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let read = Hash::parse(&one.to_line()).unwrap();
        assert!(read == one && read.is_of("pässwörd".as_bytes()) && !read.is_of(b"passwort"));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_not_repeated() {
        let refused = |line: &str| Hash::parse(line).unwrap_err();
        for plain in ["", "geheim", "$geheim", "$geheim$x", "geheim$6$a$b", " $6$a$b"] {
            assert_eq!(refused(plain), HashError::Plain, "{plain:?}");
        }
        assert_eq!(refused("$2b$12$abc"), HashError::OtherKind("2b"));
        assert_eq!(refused("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$AAAA"), HashError::OtherKind("argon2i"));
        for damaged in [
            "$6$a",
            "$6$a$b",
            "$6$a$b$c",
            "$7$101$a",
            "$7$0$a$b",
            "$7$-1$a$b",
            "$7$x$a$b",
            "$argon2id$",
            "$argon2id$v=16$m=1,t=1,p=1$a$b",
            &SIX[..SIX.len() - 4],
            &SEVEN.replace("101$", "101$$"),
            &ARGON2ID.replace("m=256", "m=1"),
            &ARGON2ID.replace("t=2", "t=0"),
            &ARGON2ID.replace("p=1", "p=0"),
            &ARGON2ID.replace("c29tZXNhbHQ", "c29"),
            &ARGON2ID.replace(",p=1", ""),
            &format!("{ARGON2ID}="),
        ] {
            assert!(matches!(refused(damaged), Damaged(_)), "{damaged:?}: {:?}", refused(damaged));
            assert!(!refused(damaged).to_string().contains("c29t"));
        }
    }

    #[test]
    fn one_that_would_stop_the_gateway_is_refused() {
        for line in [
            ARGON2ID.replace("m=256", "m=4194304"),
            ARGON2ID.replace("t=2", "t=4294967295"),
            ARGON2ID.replace("p=1", "p=17").replace("m=256", "m=1024"),
            SEVEN.replace("101", "4294967295"),
        ] {
            assert!(matches!(Hash::parse(&line), Err(TooCostly(_))), "{line}");
        }
    }

    #[test]
    fn it_is_not_drawn() {
        let drawn = format!("{:?}", Hash::parse(SEVEN).unwrap());
        assert!(
            drawn.contains("101") && !drawn.contains("sWWL") && !drawn.contains("O6pI") && drawn.len() < 80,
            "{drawn}"
        );
    }
}
