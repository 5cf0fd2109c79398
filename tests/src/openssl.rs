//! Keys, certificates and revocation lists as the openssl command writes them: with its defaults, and with the mistakes that people make.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A folder with what was made so far.
pub struct Openssl(TempDir);

/// A certificate to be made, with its key: `NAME.pem`, `NAME.key`.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    /// Who signs it; `None`: itself.
    pub by: Option<&'a str>,
    /// Words for `openssl genpkey`.
    pub key: &'a str,
    pub subject: &'a str,
    /// Lines of an extension file. `None`: X.509 version 1.
    pub extensions: Option<&'a str>,
    /// Until it ends.
    pub days: &'a str,
    /// More words for `openssl x509 -req`.
    pub how: &'a str,
}

pub const P_256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

/// For the host that tests connect to.
pub const LOCALHOST: Certificate<'_> = Certificate {
    by: Some("ca"),
    key: P_256,
    subject: "/CN=localhost",
    extensions: Some("basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost"),
    days: "30",
    how: "",
};

/// A CA with a database, which `openssl ca` needs in order to revoke.
const DATABASE: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=DIR/NAME.index\ncrlnumber=DIR/NAME.number\nserial=DIR/NAME.serial\n\
                        default_md=sha256\ndefault_crl_days=30\npolicy=p\n[p]\ncommonName=optional\n";

// === impl Openssl ===

impl Default for Openssl {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }
}

impl Openssl {
    /// With a CA of the name `ca`.
    pub fn with_ca() -> Self {
        let openssl = Self::default();
        openssl.authority("ca");
        openssl
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file that was made")
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), content).expect("a file in a temporary folder");
        self.path(name)
    }

    /// Puts another file into the place of this one, at once.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::rename(self.write("next", content), self.path(name)).expect("a file in a temporary folder");
    }

    /// Words without blanks, in this folder. What it says on stdout.
    pub fn run(&self, words: &str) -> String {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(words.split_whitespace());
        let done = command.output().expect("openssl: install it (`.ci/run` does)");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {words}\n{said}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// `NAME.pem` and `NAME.key`, signed by itself.
    pub fn authority(&self, name: &str) {
        let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\nsubjectKeyIdentifier=hash";
        let subject = format!("/CN=Plant-{name}");
        self.certificate(name, Certificate { by: None, subject: &subject, extensions: Some(extensions), ..LOCALHOST });
        self.write(&format!("{name}.index"), "");
        self.write(&format!("{name}.number"), "01\n");
        let folder = self.0.path().to_str().expect("a path in UTF-8");
        self.write(&format!("{name}.cnf"), DATABASE.replace("DIR", folder).replace("NAME", name));
    }

    pub fn certificate(&self, name: &str, spec: Certificate<'_>) {
        let Certificate { by, key, subject, extensions, days, how } = spec;
        self.run(&format!("genpkey {key} -out {name}.key"));
        self.run(&format!("req -new -key {name}.key -out {name}.csr -subj {subject}"));
        let extfile = extensions.map_or_else(String::new, |lines| {
            self.write(&format!("{name}.ext"), format!("{lines}\n"));
            format!("-extfile {name}.ext")
        });
        let signer = match by {
            Some(by) => format!("-CA {by}.pem -CAkey {by}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.run(&format!("x509 -req -in {name}.csr -out {name}.pem -days {days} {signer} {extfile} {how}"));
    }

    pub fn revoke(&self, by: &str, name: &str) {
        self.run(&format!("ca -config {by}.cnf -keyfile {by}.key -cert {by}.pem -revoke {name}.pem"));
    }

    /// The list of a CA, as it is now.
    pub fn revocation_list(&self, by: &str, out: &str, more: &str) {
        self.run(&format!("ca -config {by}.cnf -keyfile {by}.key -cert {by}.pem -gencrl -out {out} {more}"));
    }

    /// Of a certificate, with colons.
    pub fn fingerprint(&self, name: &str) -> String {
        let said = self.run(&format!("x509 -in {name}.pem -noout -fingerprint -sha256"));
        said.trim().split_once('=').expect("a fingerprint").1.to_owned()
    }
}
