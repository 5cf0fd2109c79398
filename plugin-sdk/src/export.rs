//! From a plugin to a component.

/// Makes this type the plugin of the component: `export!(Threshold);`, once in a crate.
///
/// A plugin that overrides [`Plugin::tick`](crate::Plugin::tick) says so, `export!(Window, tick);`: only then the gateway calls it
/// by the clock, and a `tick` in the configuration is refused for all others.
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
    ($plugin:ty $(, $clock:tt)?) => {
        const _: () = {
            const fn is_a_plugin<P: $crate::Plugin>() {}
            is_a_plugin::<$plugin>()
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::tidegate::plugin::{batched, lifecycle, manifest, single};
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

            impl manifest::Guest for Component {
                fn describe() -> manifest::Traits {
                    guest::describe::<$plugin>()
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
            $crate::export_clock!(Component, $($clock)?);
        };
    };
}

/// The part of [`export!`] for `tick`.
#[doc(hidden)]
#[macro_export]
macro_rules! export_clock {
    ($component:ident,) => {};
    ($component:ident, tick) => {
        impl $crate::bindings::timer::exports::tidegate::plugin::timer::Guest for $component {
            fn tick(
                now_ms: u64,
            ) -> ::core::result::Result<::std::vec::Vec<single::Message>, single::Failure> {
                PLUGIN.with(|plugin| plugin.tick(now_ms))
            }
        }

    $crate::bindings::timer::export_timer!($component with_types_in $crate::bindings::timer);
    };
}
