//! A gateway's configuration: one binding, one upstream, with the JSON plugin or without.

use std::net::SocketAddr;
use std::path::Path;

use tidegate::config::{self, Config};
use tidegate_tests::binary;

use crate::shared::native;

pub fn config(folder: &Path, upstream: SocketAddr, with_plugin: bool) -> Config {
    let plugins = if with_plugin { r#"plugins = ["reading"]"# } else { "" };
    let component = binary::shared_folder().join("plugins/reading.wasm");
    let settings = native::CONFIG.replace(':', " =").replace('"', "");
    let text = format!(
        r#"
        [broker.listeners.local]
        bind = "127.0.0.1:0"

        [upstreams.up]
        url = "mqtt://{upstream}"
        protocol = 4

        [plugins.reading]
        component = "{}"
        config = {settings}
        limits = {{ deadline = "10s" }}

        [[bindings]]
        name = "bench"
        topic = "bench/+"
        {plugins}
        to = [{{ upstream = "up", topic = "{{topic}}" }}]
        "#,
        component.display()
    );
    config::parse(&text, "bench", folder).unwrap_or_else(|problems| panic!("{problems}"))
}
