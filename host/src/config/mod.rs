//! The configuration: what was typed, what is meant, and every problem between the two.
//!
//! ```text
//!  text ──toml──▶ raw::Table ──check──▶ checked::Config
//!                     │                    │
//!                     └──── Problems ◀─────┘   all of them, in file order, each with a place and what to do next
//! ```
//!
//! - `raw` is what was typed: the parsed document with the place of each key and value. Tables are *asked* for their
//!   keys by type; what nobody asked for is an unknown key.
//! - `check` is the way between: one file per table, each a function from a raw table to a checked struct.
//! - `checked` is what is meant: nothing left to parse, every name resolved. Other modules see only this.
//! - `problem` is a sentence, a place, an advice. Errors refuse the file; warnings travel with the [`Config`].
//!
//! Not serde structs, although that is the usual way: a deserializer stops at the first wrong type, loses the place of
//! a key, and a person then mends a file one error per attempt. Reading the document ourselves costs one small file
//! (`raw/table.rs`) and reports everything at once.
//!
//! [`plan`](plan()) compares two of them: what a reload does, and what needs a restart.
//!
//! Components are not opened here, only looked for: what is inside them is `plugin`'s business.

mod acl_source;
mod check;
mod checked;
mod client_ids;
mod covered;
mod defaults;
mod foreign;
mod ids;
mod load;
mod place;
mod plan;
mod problem;
mod public_key;
mod raw;
mod similar;
#[cfg(test)]
mod tests;
mod writers;

pub use acl_source::AclError;
pub use check::is_origin;
pub use checked::*;
pub use client_ids::{ClientIds, ClientIdsError};
pub use defaults::MAX_STATE_TOTAL;
pub use ids::{BindingId, PluginId, UpstreamId};
pub use load::{load, parse};
pub use plan::{BindingChange, ListenerChange, Plan, Step, change_of, change_of_binding, plan, taken_over};
pub use problem::{Problem, Problems, Severity};
pub use public_key::{KeyId, PublicKey};
pub use similar::did_you_mean;
