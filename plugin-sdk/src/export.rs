//! From a plugin to a component.

/// Makes this type the plugin of the component: `export!(Threshold);`, once in a crate.
///
/// On a developer's machine it makes nothing and only checks the type, so that the same crate is tested natively.
///
/// ```compile_fail,E0277
/// # use tidegate_plugin::prelude::*;
/// struct NoPlugin;
/// export!(NoPlugin);
/// # fn main() {}
/// ```
///
/// A `macro_rules!` and no derive: there is nothing to parse but a name, and rustc's errors point at the author's own code.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            const fn is_a_plugin<P: $crate::Plugin>() {}
            is_a_plugin::<$plugin>()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::tidegate::plugin::{batched, lifecycle, single};
            use $crate::guest::{self, Slot};

            // A component has one thread.
            ::std::thread_local! {
                static PLUGIN: Slot<$plugin> = const { Slot::empty() };
            }

            struct Component;

            impl lifecycle::Guest for Component {
                fn configure(config_json: ::std::string::String) -> ::core::result::Result<(), ::std::string::String> {
                    PLUGIN.with(|plugin| plugin.configure(&config_json))
                }
            }

            impl single::Guest for Component {
                fn process(message: single::Message) -> ::core::result::Result<single::Verdict, single::Failure> {
                    PLUGIN.with(|plugin| plugin.process(&message))
                }
            }

            impl batched::Guest for Component {
                fn process_batch(batch: batched::Batch) -> batched::BatchResult {
                    PLUGIN.with(|plugin| plugin.process_batch(&batch))
                }
            }

    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
