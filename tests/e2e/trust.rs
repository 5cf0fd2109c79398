//! Only plugins that the operator trusts become code, and what they may ask of the compiler is bounded.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use minisign::KeyPair;
use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::gateway::Home;
use tidegate_tests::process::{Finished, Process};

const EX_CONFIG: Option<i32> = Some(78);

/// A gateway with one plugin, a cache of its own, and an operator who signs.
struct Site {
    home: Home,
    operator: KeyPair,
}

// === impl Site ===

impl Site {
    /// `more` stands under the plugin.
    fn new(more: &str) -> Self {
        let operator = pair();
        let trust = format!("[trust]\nrequire_signature = true\nkeys = {{ ops = \"{}\" }}\n", operator.pk.to_base64());
        let binding = "[[bindings]]\nname = \"b\"\ntopic = \"t\"\nplugins = [\"p\"]\non_start_failure = \"strict\"\n\
                       to = [{ local = true, topic = \"out\" }]\n";
        let home =
            Home::new(&format!("{trust}{binding}[plugins.p]\ncomponent = \"p.wasm\"\nconfig = {{ min = 0 }}\n{more}"));
        fs::copy(binary::plugins().join("threshold.wasm"), home.path().join("p.wasm")).expect("the plugin is built");
        fs::remove_file(home.path().join("data/compiled")).expect("the cache that all tests share is a link");
        Self { home, operator }
    }

    fn component(&self) -> PathBuf {
        self.home.path().join("p.wasm")
    }

    fn signature(&self) -> PathBuf {
        self.home.path().join("p.wasm.minisig")
    }

    fn sign(&self, version: &str) {
        self.sign_with(&self.operator, version);
    }

    fn sign_with(&self, pair: &KeyPair, version: &str) {
        let bytes = fs::read(self.component()).expect("a component");
        let comment = format!("file:p.wasm version:{version}");
        let signed = minisign::sign(Some(&pair.pk), &pair.sk, &bytes[..], Some(&comment), None).expect("a signature");
        fs::write(self.signature(), signed.to_string()).expect("a file in a temporary folder");
    }

    fn add(&self, line: &str) {
        let path = self.home.path().join("gateway.toml");
        let text = fs::read_to_string(&path).expect("a configuration");
        fs::write(path, text.replace("component =", &format!("{line}\ncomponent ="))).expect("a configuration");
    }

    /// Starts it, stops it, and tells what it logged.
    fn run(&self) -> String {
        let mut command = Command::new(binary::tidegate());
        command.args(["run", "-c", "gateway.toml"]).current_dir(self.home.path()).env("RUST_LOG", "info");
        let mut process = Process::start("tidegate run", &mut command);
        eventually("the gateway listens", SOON, || {
            assert!(process.has_ended().is_none(), "the gateway ended instead of listening");
            process.err().find(|line| line.contains("listening listener=").then_some(()))
        });
        process.terminate();
        assert!(process.wait().success());
        process.err().text()
    }

    /// By the gateway and by the check, for the same reason.
    fn assert_refused(&self, case: &str, words: &[&str]) {
        for Finished { code, err, .. } in [self.home.tidegate("check", &["--offline"]), self.home.tidegate("run", &[])]
        {
            assert_eq!(code, EX_CONFIG, "{case}: {err}");
            for word in words {
                assert!(err.contains(word), "{case}: no `{word}` in {err}");
            }
        }
    }

    /// The one entry of the cache.
    fn compiled(&self) -> PathBuf {
        let entries = fs::read_dir(self.home.path().join("data/compiled")).expect("a cache");
        let mut files = entries.map(|entry| entry.expect("an entry").path());
        files.find(|path| path.extension().is_some_and(|ending| ending == "native")).expect("compiled code")
    }
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("a key pair")
}

fn flip(path: &PathBuf, at: usize) {
    let mut bytes = fs::read(path).expect("a file to tamper with");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("a file to tamper with");
}

#[test]
fn a_plugin_with_a_good_signature_runs_and_check_tells_whose_it_is() {
    let site = Site::new("");
    site.sign("1.2.3");
    let told = site.home.tidegate("check", &["--offline"]);
    assert!(told.code == Some(0) && told.out.contains("version 1.2.3, signed by ops"), "{told:?}");
    assert!(site.run().contains("version 1.2.3, signed by ops"));
}

#[test]
fn a_plugin_that_nobody_trusted_signed_as_it_is_does_not_run() {
    let site = Site::new("");
    site.assert_refused("unsigned", &["`p`", "p.wasm.minisig", "minisign -S"]);
    site.sign_with(&pair(), "1.0.0");
    site.assert_refused("signed by a stranger", &["not among `[trust.keys]`", "ops ("]);
    site.sign("1.0.0");
    let signature = fs::read(site.signature()).expect("it was signed");
    fs::write(site.signature(), &signature[..signature.len() / 2]).expect("a file in a temporary folder");
    site.assert_refused("half a signature", &["signature file", "cannot be read"]);
    fs::write(site.signature(), signature).expect("a file in a temporary folder");
    let last = fs::metadata(site.component()).expect("a component").len() as usize - 1;
    flip(&site.component(), last);
    site.assert_refused("changed by a bit", &["not what key `ops` signed"]);
}

#[test]
fn an_older_version_comes_back_only_on_purpose() {
    let site = Site::new("");
    site.sign("1.10.0");
    site.run();
    site.sign("1.9.0");
    site.assert_refused("downgraded", &["`1.9.0`", "`1.10.0`", "downgrade_to = \"1.9.0\""]);
    site.add("downgrade_to = \"1.9.0\"");
    site.run();
}

#[test]
fn a_warm_start_compiles_nothing_and_code_that_was_tampered_with_is_never_run() {
    let site = Site::new("");
    site.sign("1.0.0");
    let compiles = |log: &str| log.contains("compiled; the next start");
    assert!(compiles(&site.run()), "the first start");
    assert!(!compiles(&site.run()), "the second start");
    flip(&site.compiled(), 1_000);
    let log = site.run();
    assert!(log.contains("not as it was put there") && compiles(&log), "{log}");
    assert!(!compiles(&site.run()), "it is whole again");
}

/// Any number of functions with something to do.
fn crowd(functions: usize) -> Vec<u8> {
    let work = "local.get 0 i64.const 7 i64.mul i64.const 3 i64.rotl local.set 0 ".repeat(60);
    let function = format!("(func (param i64) (result i64) {work} local.get 0)");
    wat::parse_str(format!("(component (core module {}))", function.repeat(functions))).expect("a component")
}

#[test]
fn what_asks_too_much_of_the_compiler_is_refused_in_time() {
    let cases: [(&str, Vec<u8>, &str, &[&str]); 3] = [
        (
            "100,000 functions",
            wat::parse_str(format!("(component (core module {}))", "(func)".repeat(100_000))).expect("a component"),
            "",
            &["100000 functions", "engine.limits.functions"],
        ),
        ("too long", crowd(10_000), "compile_time = \"1s\"", &["is not compiled", "compile_time"]),
        ("too large", crowd(10_000), "component_size = \"1MiB\"", &["larger than", "component_size"]),
    ];
    for (case, component, limits, words) in cases {
        let site = Site::new(&format!("[engine.limits]\n{limits}\n"));
        fs::write(site.component(), component).expect("a file in a temporary folder");
        site.sign("1.0.0");
        site.assert_refused(case, words);
    }
}

#[test]
fn the_compiler_has_no_more_memory_than_it_is_given() {
    let site = Site::new("[engine.limits]\ncompile_memory = \"128MiB\"\n");
    fs::write(site.component(), crowd(10_000)).expect("a file in a temporary folder");
    site.sign("1.0.0");
    site.assert_refused("too little memory", &["is not compiled", "compile_memory"]);
}
