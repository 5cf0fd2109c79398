//! The two configurations of the demo, as anybody would write them: text, read by the same code as any other file.
//!
//! The stand-in upstream is this very program without bindings, which is a broker and nothing more. It keeps the QoS that
//! a message was published with, so that the sink behind it can tell.

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::plan::{DAMP, GATEWAY_ID, MOVED, UPSTREAM_ROOT};
use crate::cli::plugin_build::{Built, build_plugins};
use crate::config::{self, Config};

/// The upstream's name, and its folder among the demo's.
const STAND_IN: &str = "stand-in";

/// What the demo runs on: components, and a folder for what is compiled of them.
pub struct Workshop {
    components: Vec<Built>,
    data_dir: PathBuf,
}

// === impl Workshop ===

impl Workshop {
    /// Builds the shipped plugins from their sources.
    pub fn build(quiet: bool) -> anyhow::Result<Self> {
        let components = build_plugins(&[], None, quiet)
            .context("the demo builds the plugins that come with tidegate: run it in tidegate's own source folder")?;
        let folder = components.first().and_then(|built| built.path.parent()).unwrap_or(Path::new(""));
        let data_dir = folder.with_file_name("demo");
        // What a demo that was interrupted had not forwarded would arrive in this one. Compiled code stays.
        for left in ["spool", "dead-letters", STAND_IN] {
            match fs::remove_dir_all(data_dir.join(left)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).context(format!("{} cannot be emptied", data_dir.display()));
                }
                _ => {}
            }
        }
        Ok(Self { components, data_dir })
    }

    /// A broker for the sink, with a mailbox that holds more than the devices have under way.
    pub fn stand_in_toml(&self) -> String {
        let data_dir = quoted(&self.data_dir.join(STAND_IN));
        format!(
            r#"
[gateway]
id = "{STAND_IN}"
data_dir = {data_dir}

[broker.listeners.stand-in]
bind = "127.0.0.1:0"

[broker.limits]
max_queued_messages = 10000
"#
        )
    }

    pub fn gateway_toml(&self, listen: SocketAddr, upstream: SocketAddr) -> anyhow::Result<String> {
        let component = |name: &str| -> anyhow::Result<String> {
            let built = self.components.iter().find(|built| built.name == name);
            let built = built.with_context(|| format!("there is no plugin `{name}` in this workspace's plugins/"))?;
            Ok(quoted(&built.path))
        };
        let (deadband, convert, threshold) = (component("deadband")?, component("convert")?, component("threshold")?);
        let data_dir = quoted(&self.data_dir);
        Ok(format!(
            r#"# Temperatures go upstream when they have moved, in Celsius; humidities when it is damp.
[gateway]
id = "{GATEWAY_ID}"
data_dir = {data_dir}

[broker.listeners.devices]
bind = "{listen}"

[upstreams.stand-in]
url = "mqtt://{upstream}"

[plugins.moved]
component = {deadband}
config = {{ field = "/fahrenheit", absolute = {MOVED:?} }}

[plugins.celsius]
component = {convert}
[[plugins.celsius.config.fields]]
path = "/fahrenheit"
to_path = "/celsius"
from = "fahrenheit"
to = "celsius"
decimals = 1

[plugins.damp]
component = {threshold}
config = {{ field = "/humidity", min = {DAMP:?} }}

[[bindings]]
name = "temperature"
topic = "weather/+/temperature"
plugins = ["moved", "celsius"]
on_error = "drop"
to = [{{ upstream = "stand-in", topic = "{UPSTREAM_ROOT}/{{gateway}}/{{topic}}" }}]

[[bindings]]
name = "humidity"
topic = "weather/+/humidity"
plugins = ["damp"]
on_error = "drop"
to = [{{ upstream = "stand-in", topic = "{UPSTREAM_ROOT}/{{gateway}}/{{topic}}" }}]
"#
        ))
    }
}

pub fn parsed(text: &str, name: &str) -> anyhow::Result<Config> {
    Ok(config::parse(text, name, Path::new(""))?)
}

fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_are_accepted_without_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let built = |name: &str| {
            let path = folder.path().join(format!("{name}.wasm"));
            std::fs::write(&path, "stands for a component").unwrap();
            Built { name: name.into(), path, bytes: 0, sha256: String::new() }
        };
        let components = ["deadband", "convert", "threshold"].map(built).into();
        let workshop = Workshop { components, data_dir: folder.path().to_owned() };
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let gateway = parsed(&workshop.gateway_toml(at(1883), at(1884)).unwrap(), "demo.toml").unwrap();
        assert_eq!((gateway.bindings.len(), gateway.warnings.is_empty()), (2, true), "{}", gateway.warnings);
        let stand_in = parsed(&workshop.stand_in_toml(), "stand-in.toml").unwrap();
        assert!(stand_in.bindings.is_empty() && stand_in.warnings.is_empty(), "{}", stand_in.warnings);
    }
}
