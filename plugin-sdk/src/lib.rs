//! Write a tidegate plugin: **a struct whose fields are its configuration**.
//!
//! ```
//! //! Forwards readings inside a range and drops the rest.
//! use tidegate_plugin::prelude::*;
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Range { min: f64, max: f64 }
//!
//! impl Plugin for Range {
//!     fn filter(&mut self, message: &Message) -> Result<bool> {
//!         let celsius: f64 = message.json()?;
//!         Ok((self.min..=self.max).contains(&celsius))
//!     }
//! }
//!
//! export!(Range);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` as a `cdylib`, and name it in the gateway's configuration:
//!
//! ```toml
//! [plugins.range]
//! component = "range.wasm"
//! [plugins.range.config]
//! min = 0.0
//! max = 40.0
//! ```
//!
//! | to | use |
//! |---|---|
//! | keep or drop a message | [`Plugin::filter`] |
//! | make none, one or many messages of it | [`Plugin::transform`], [`Output`], [`Outputs`] |
//! | read it | [`Message`], [`Pointer`] |
//! | let a configuration choose what becomes of a message without its number | [`When`] |
//! | check the configuration, once | [`Plugin::init`] |
//! | remember something between messages | a field with `#[serde(skip)]`: see [`Plugin`] |
//! | remember it for good, over restarts and crashes | [`state`] |
//! | follow what is deleted | [`Plugin::delete`] |
//! | never be skipped | [`Plugin::MUST_RUN`] |
//! | do something now and then | [`Plugin::tick`], `export!(Window, tick)` |
//! | count something for the operator | [`metrics`] |
//! | fail | [`bail!`], `?` on any error, [`Error::transient`] |
//! | say something to the operator | [`log`] |
//! | test it, without wasm and without a gateway | [`testing`] |
//!
//! # Underneath
//! [`export!`] makes both exports of the contract from these functions: `process` for one message and `process-batch`
//! for many, where messages are borrowed from the columns they arrived in. A plugin is called by one thread at a time. When
//! it panics, the gateway throws the instance away, with its state, and starts another.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[doc(hidden)]
pub mod bindings;
mod error;
mod export;
#[doc(hidden)]
pub mod guest;
pub mod log;
mod message;
pub mod metrics;
mod origin;
mod output;
mod plugin;
mod pointer;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod when;

pub use bindings::tidegate::plugin::types::{Properties, Qos as QoS};
pub use error::{Error, Result};
pub use message::Message;
pub use output::{Output, Outputs};
pub use plugin::Plugin;
pub use pointer::Pointer;
pub use when::{Reading, When};

/// What a plugin needs, in one line.
pub mod prelude {
    pub use crate::{
        Error, Message, Output, Outputs, Plugin, Pointer, Properties, QoS, Reading, Result, When, bail, export, log,
        metrics, state,
    };
    pub use serde::{Deserialize, Serialize};
}
