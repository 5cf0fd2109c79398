//! `tidegate import`: files of mosquitto, before the real mosquitto and before the real `check`.
//!
//! The files are those of `host/src/cli/import/golden`. Their ports and addresses are made ones of this machine, and `/etc/mosquitto` a folder
//! with certificates, passwords and rules in it; everything else is as it stands there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::ports;
use tidegate_tests::process::{Process, finish};

/// mosquitto does not start with these, and says this.
const REFUSED: [(&str, &str); 3] = [
    ("mistakes", "Invalid bridge configuration"),
    // It has read the file, and the plugin is not on this machine.
    ("auth-plugin", "Unable to load auth plugin"),
    ("dynamic-security", "Unable to load auth plugin"),
];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/cli/import/golden")
}

fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "conf")).collect();
    cases.sort();
    assert!(cases.len() >= 20, "the folder is not where this test looks");
    cases
}

fn name(case: &Path) -> String {
    case.file_stem().unwrap().to_string_lossy().into_owned()
}

/// What `/etc/mosquitto` and other folders stand for: with real certificates, and a password that mosquitto has hashed.
struct Etc(tempfile::TempDir);

impl Etc {
    fn new() -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        let certs = etc.path().join("certs");
        fs::create_dir_all(etc.path().join("conf.d")).unwrap();
        fs::create_dir(&certs).unwrap();
        for (name, key) in [("ca", "ca"), ("server", "server"), ("client", "client")] {
            let subject = format!("/CN={name}");
            let (key, cert) = (format!("{key}.key"), format!("{name}.crt"));
            let mut make = Command::new("openssl");
            make.args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "90",
            ]);
            make.args(["-subj", &subject, "-keyout", &key, "-out", &cert]).current_dir(&certs);
            assert_eq!(finish("openssl", &mut make).code, Some(0));
            fs::set_permissions(certs.join(key), Permissions::from_mode(0o600)).unwrap();
        }
        etc.revocations();
        for (file, user) in [("passwd", "sensor"), ("passwd-guests", "guest")] {
            let mut make = Command::new("mosquitto_passwd");
            make.args(["-b", "-c"]).arg(etc.path().join(file)).args([user, "open sesame"]);
            assert_eq!(finish("mosquitto_passwd", &mut make).code, Some(0));
            fs::set_permissions(etc.path().join(file), Permissions::from_mode(0o600)).unwrap();
        }
        for file in ["acl", "psk", "conf.d/10-listeners.conf", "conf.d/20-limits.conf"] {
            let text = fs::read_to_string(golden().join("files").join(file)).unwrap();
            etc.put(file, &text);
        }
        etc
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// An empty list, which `openssl ca` makes of an empty database.
    fn revocations(&self) {
        let certs = self.path().join("certs");
        fs::write(certs.join("index.txt"), "").unwrap();
        // With a number: without one it is of version 1, which rustls does not read.
        fs::write(certs.join("crlnumber"), "01\n").unwrap();
        let ca = "[ca]\ndefault_ca = c\n[c]\ndatabase = index.txt\ncrlnumber = crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\n";
        fs::write(certs.join("ca.cnf"), ca).unwrap();
        let mut make = Command::new("openssl");
        make.args(["ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.crt", "-out", "ca.crl"]);
        assert_eq!(finish("openssl", make.current_dir(&certs)).code, Some(0));
    }

    /// A file with paths, ports and addresses of here.
    fn put(&self, file: &str, text: &str) -> PathBuf {
        let path = self.path().join(file);
        let place = self.path().display().to_string();
        let text = text.lines().map(here).collect::<Vec<_>>().join("\n") + "\n";
        // Longer ones first: the last is a part of others.
        let folders = [
            "/etc/mosquitto",
            "/var/lib/mosquitto",
            "/var/log/mosquitto",
            "/run/mosquitto",
            "/mosquitto/data",
            "/mosquitto/log",
            "/usr/share/mosquitto/www",
            "/data",
        ];
        let text = folders.iter().fold(text, |text, folder| text.replace(&format!(" {folder}"), &format!(" {place}")));
        fs::write(&path, text).unwrap();
        path
    }
}

/// A line with a port that is free, and an address that this machine has.
fn here(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["listener", "0" | "99999", ..] => line.to_owned(),
        ["listener", _] => format!("listener {}", ports::free()),
        ["listener", _, "localhost" | "::1" | "127.0.0.1" | "0.0.0.0"] => {
            format!("listener {} {}", ports::free(), words[2])
        }
        ["listener", _, _] => format!("listener {} localhost", ports::free()),
        ["port", _] => format!("port {}", ports::free()),
        ["plugin" | "auth_plugin", _] => format!("{} /nowhere/plugin.so", words[0]),
        _ => line.to_owned(),
    }
}

/// Whether mosquitto runs with it; otherwise what it says.
fn mosquitto(file: &Path, has_listener: bool) -> Result<(), String> {
    // Not `user`, which may stand there: without rights it reads no key of ours. And its word is wanted on stderr, whatever is logged where.
    let text = fs::read_to_string(file).unwrap().replace("\nuser mosquitto", "");
    fs::write(file, format!("{text}\nuser root\nlog_dest stderr\nlog_type all\n")).unwrap();
    let mut command = Mosquitto::command();
    command.arg("-c").arg(file);
    if !has_listener {
        command.args(["-p", &ports::free().to_string()]);
    }
    let mut process = Process::start("mosquitto", &mut command);
    let runs = eventually("mosquitto runs or gives up", SOON, || {
        if process.err().count(|line| line.ends_with(" running")) > 0 {
            return Some(true);
        }
        process.has_ended().map(|_| false)
    });
    if runs { Ok(()) } else { Err(process.err().text()) }
}

#[test]
fn what_is_imported_is_what_mosquitto_starts_with() {
    for case in cases() {
        let (name, etc) = (name(&case), Etc::new());
        let text = fs::read_to_string(&case).unwrap();
        let file = etc.put("mosquitto.conf", &text.replace("\nuser root", ""));
        let has_listener =
            ["listener ", "port ", "include_dir "].iter().any(|word| text.lines().any(|line| line.starts_with(word)));
        let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
        match (mosquitto(&file, has_listener), refused) {
            (Ok(()), None) => {}
            (Err(said), Some((_, why))) => assert!(said.contains(why), "{name}: {said}"),
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

#[test]
fn what_is_written_is_what_check_calls_good() {
    for case in cases() {
        let (name, etc) = (name(&case), Etc::new());
        etc.put("mosquitto.conf", &fs::read_to_string(&case).unwrap());
        let imported = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml"], etc.path());
        assert_eq!(imported.code, Some(0), "{name}: {imported:?}");
        let checked = binary::run(&["check", "--offline", "-c", "gateway.toml"], etc.path());
        assert_eq!(checked.code, Some(0), "{name}: {checked:#?}");
        for line in checked.err.lines().filter(|line| line.starts_with("warning")) {
            // The certificates of this test are none of a server, and its upstreams are somewhere.
            assert!(!line.contains("no effect"), "{name}: {line}");
        }
    }
}

#[test]
fn passwords_go_into_files_of_the_user_alone_and_nothing_is_written_over() {
    let etc = Etc::new();
    let secret = "S3cret \"with quotes\"";
    etc.put("mosquitto.conf", &fs::read_to_string(golden().join("hivemq-cloud.conf")).unwrap());
    let shown = binary::run(&["import", "mosquitto.conf"], etc.path());
    assert!(!etc.path().join("hivemq.password").exists() && !shown.out.contains("S3cret"), "{shown:?}");
    let written = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml"], etc.path());
    assert_eq!(written.code, Some(0), "{written:?}");
    let file = etc.path().join("hivemq.password");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{secret}\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(![&shown, &written].iter().any(|it| it.out.contains("S3cret") || it.err.contains("S3cret")));
    let again = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml"], etc.path());
    assert!(again.code == Some(1) && again.err.contains("--force"), "{again:?}");
    assert_eq!(binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml", "--force"], etc.path()).code, Some(0));
}

#[test]
fn what_is_left_is_told_and_is_an_error_when_that_is_asked_for() {
    let etc = Etc::new();
    etc.put("mosquitto.conf", "listener 1883 localhost\nallow_anonymous true\nmax_qos 1\nfrobnicate 7\n");
    let kind = binary::run(&["import", "mosquitto.conf"], etc.path());
    assert!(kind.code == Some(0) && kind.err.contains("mosquitto.conf:4: frobnicate 7"), "{kind:?}");
    assert!(kind.out.contains("# mosquitto.conf:3: max_qos 1"), "{kind:?}");
    assert_eq!(binary::run(&["import", "mosquitto.conf", "--strict"], etc.path()).code, Some(1));
    etc.put("mosquitto.conf", "listener 1883 localhost\nallow_anonymous true\n");
    assert_eq!(binary::run(&["import", "mosquitto.conf", "--strict"], etc.path()).code, Some(0));
    let gone = binary::run(&["import", "gone.conf"], etc.path());
    assert!(gone.code == Some(1) && gone.err.contains("gone.conf"), "{gone:?}");
}

/// A file that is named and not there: what is written is kept, and what is missing is said.
#[test]
fn what_a_new_machine_has_not_got_yet_is_named() {
    let etc = Etc::new();
    let text = "connection up\naddress up.example:8883\nbridge_cafile /nowhere/ca.crt\ntopic # out 1\n";
    etc.put("mosquitto.conf", text);
    let imported = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml"], etc.path());
    assert!(imported.code == Some(1) && imported.err.contains("/nowhere/ca.crt"), "{imported:?}");
    assert!(etc.path().join("gateway.toml").exists());
}

/// The way that a person goes: devices at mosquitto, then at a gateway that was made of its file.
#[test]
fn a_message_goes_the_way_of_the_bridge() {
    let upstream = Mosquitto::start();
    let etc = Etc::new();
    let port = ports::free();
    let text = format!(
        "port {port}\nbind_address localhost\nallow_anonymous true\nconnection up\naddress {}\ntopic # out 1 site/ sites/7/\n",
        upstream.address()
    );
    fs::write(etc.path().join("mosquitto.conf"), text).unwrap();
    let imported = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml"], etc.path());
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let mut run = Command::new(binary::tidegate());
    let _gateway = Process::start("tidegate", run.args(["run", "-c", "gateway.toml"]).current_dir(etc.path()));
    let there = upstream.address().port().to_string();
    let mut listen = Command::new("mosquitto_sub");
    let mut heard = Process::start(
        "mosquitto_sub",
        listen.args(["-p", &there, "-t", "sites/#", "-v", "-C", "1", "-W", "60", "-q", "1"]),
    );
    eventually("a device publishes, and its message arrives", SOON, || {
        let mut publish = Command::new("mosquitto_pub");
        publish.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", "site/a/b", "-m", "21.5"]);
        finish("mosquitto_pub", &mut publish);
        heard.has_ended()
    });
    assert_eq!(heard.out().all(), ["sites/7/a/b 21.5"]);
}

/// Whether a device with these arguments gets in and is acknowledged.
fn publishes(port: u16, more: &[&str]) -> bool {
    let mut publish = Command::new("mosquitto_pub");
    publish.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", "s/1", "-m", "x"]).args(more);
    finish("mosquitto_pub", &mut publish).code == Some(0)
}

#[test]
fn who_comes_in_at_mosquitto_comes_in_and_nobody_else() {
    const TRIED: [&[&str]; 5] = [
        &["-u", "sensor", "-P", "open sesame"],
        &["-u", "sensor", "-P", "open"],
        &["-u", "guest", "-P", "open sesame"],
        &["-u", "sensor"],
        &[],
    ];
    let etc = Etc::new();
    let port = ports::free();
    let text =
        format!("listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}/passwd\n", etc.path().display());
    fs::write(etc.path().join("mosquitto.conf"), &text).unwrap();
    fs::write(etc.path().join("run.conf"), format!("{text}user root\nlog_dest stderr\n")).unwrap();
    let mosquitto = Process::start("mosquitto", Mosquitto::command().arg("-c").arg(etc.path().join("run.conf")));
    eventually("mosquitto lets the sensor in", SOON, || publishes(port, TRIED[0]).then_some(()));
    let there = TRIED.map(|tried| publishes(port, tried));
    drop(mosquitto);
    assert_eq!(there, [true, false, false, false, false]);

    let imported = binary::run(&["import", "mosquitto.conf", "-o", "gateway.toml", "--strict"], etc.path());
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let mut run = Command::new(binary::tidegate());
    let _gateway = Process::start("tidegate", run.args(["run", "-c", "gateway.toml"]).current_dir(etc.path()));
    eventually("the gateway lets the sensor in", SOON, || publishes(port, TRIED[0]).then_some(()));
    assert_eq!(TRIED.map(|tried| publishes(port, tried)), there);
}
