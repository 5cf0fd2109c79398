//! A device that behaves: a real `mosquitto_pub`.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::process::Process;

pub struct Device {
    command: Command,
    name: String,
}

// === impl Device ===

impl Device {
    /// `protocol` is 4 for MQTT 3.1.1, 5 for MQTT 5.
    pub fn new(name: &str, broker: SocketAddr, protocol: u8) -> Self {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string(), "-i", name]);
        command.args(["-V", if protocol == 5 { "mqttv5" } else { "mqttv311" }]);
        Self { command, name: name.to_owned() }
    }

    pub fn qos(mut self, qos: u8) -> Self {
        self.command.args(["-q", &qos.to_string()]);
        self
    }

    pub fn retain(mut self) -> Self {
        self.command.arg("-r");
        self
    }

    /// A property of PUBLISH in the words of mosquitto_pub, such as `["content-type", "text/plain"]`.
    pub fn property(mut self, words: &[&str]) -> Self {
        self.command.args(["-D", "publish"]).args(words);
        self
    }

    /// Publishes each line as a message. When this returns, all of them are acknowledged.
    pub fn publish(self, topic: &str, lines: &[String]) {
        self.start(topic, lines).finish();
    }

    pub fn publish_one(mut self, topic: &str, payload: &str) {
        self.command.args(["-t", topic, "-m", payload]);
        let process = Process::start(&self.name, &mut self.command);
        Publishing { process, writer: None }.finish();
    }

    /// The same in the background.
    pub fn start(mut self, topic: &str, lines: &[String]) -> Publishing {
        self.command.args(["-t", topic, "-l"]).stdin(Stdio::piped());
        let mut process = Process::start_with(&self.name, &mut self.command);
        let mut stdin = process.stdin().expect("piped");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        Publishing { process, writer: Some(writer) }
    }
}

pub struct Publishing {
    process: Process,
    writer: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

// === impl Publishing ===

impl Publishing {
    pub fn finish(mut self) {
        let status = self.process.wait();
        assert!(status.success(), "mosquitto_pub: {status}");
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer does not panic").expect("mosquitto_pub read every line");
        }
    }
}
