//! The contract in `wit/` as Rust types, generated. Native builds have the types too, so that everything but the crossing
//! itself is tested without wasm.

#![allow(missing_docs, unsafe_code, reason = "generated: the canonical ABI is pointers and lengths")]

wit_bindgen::generate!({
    world: "plugin-described",
    path: "wit",
    additional_derives: [Clone, PartialEq],
    additional_type_attributes: {
        "tidegate:plugin/types@0.1.0/properties": [#[derive(Default, Eq)]],
        "tidegate:plugin/types@0.1.0/qos": [#[derive(Default, Hash)]],
    },
    additional_member_attributes: {
        "tidegate:plugin/types@0.1.0/qos.at-most-once": [#[default]],
    },
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "tidegate_plugin::bindings",
});

/// The world of the clock alone: only a plugin that is exported with `tick` has it.
pub mod timer {
    wit_bindgen::generate!({
        world: "plugin-timer",
        path: "wit",
        with: { "tidegate:plugin/types@0.1.0": crate::bindings::tidegate::plugin::types },
        pub_export_macro: true,
        export_macro_name: "export_timer",
        default_bindings_module: "tidegate_plugin::bindings::timer",
    });
}
