//! The SDK's Cargo.toml for outside of this repository: what it takes from the workspace is written out, as `cargo package` does.

use anyhow::Context;
use toml::{Table, Value};

const OF_THE_SDK: &str = include_str!("../../../../plugin-sdk/Cargo.toml");
const OF_THE_WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// Without what only its own tests need: those have stayed here.
pub fn standing_alone() -> anyhow::Result<String> {
    let (mut manifest, root): (Table, Table) = (OF_THE_SDK.parse()?, OF_THE_WORKSPACE.parse()?);
    let shared = root.get("workspace").context("the root is a workspace")?;
    for (name, common) in [("package", shared.get("package")), ("dependencies", shared.get("dependencies"))] {
        let section = manifest.get_mut(name).and_then(Value::as_table_mut);
        section.into_iter().flatten().try_for_each(|(key, value)| write_out(key, value, common))?;
    }
    manifest.remove("dev-dependencies");
    Ok(toml::to_string(&manifest)?)
}

/// `version.workspace = true` becomes the workspace's version. More than that is taken over by none, and so would be found by the test.
fn write_out(key: &str, value: &mut Value, common: Option<&Value>) -> anyhow::Result<()> {
    let inherits = value.get("workspace").is_some();
    if inherits {
        *value = common.and_then(|common| common.get(key)).context("the workspace has what it shares")?.clone();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_to_a_workspace() {
        let text = standing_alone().unwrap();
        let manifest: Table = text.parse().unwrap();
        assert!(!text.contains("workspace"), "{text}");
        assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(manifest["dependencies"]["serde"]["features"][0].as_str(), Some("derive"));
        assert!(manifest["dependencies"]["wit-bindgen"].is_str());
    }
}
