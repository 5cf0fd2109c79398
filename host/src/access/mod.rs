//! Access rules: who may publish what, and who may receive what. Pure: no sockets, no files, no clock.
//!
//! ```text
//!  [[access.rules]] ─┐                    identity (user, client, listener)
//!                    ├─▶ Rules ──of───────────────▶ Granted ──decide──▶ allowed or denied, and the line that says so
//!  acl_file ─────────┘                                 ▲
//!                                       Permit: a client's own, made anew when the rules have changed
//! ```
//!
//! - The first of `[[access.rules]]` whose `who` fits decides alone: what its lists do not name is denied. Whom none fits the ACL file is
//!   asked for, in the order in which mosquitto asks it. What nobody allows is denied.
//! - Without any rules a listener on loopback is open, and so is one with `allow_insecure`; every other is closed.
//! - A name that a client chose fills one level of a topic or none: with `+`, `#`, `/` or NUL in it, or a `$` where a topic begins, no
//!   pattern allows anything by it ([`identity`]).
//! - Nothing is made for each client but its identity: a level with a place in it stands as `+` in the trie that all share, and what is found
//!   there is compared with the names afterwards ([`pattern`], [`layer`]).
//! - A subscription is allowed when one topic at least is that its filter matches and that may be received ([`overlap`]). Each message is
//!   asked for by itself when it is delivered; a retained one also for who has published it ([`source`]).

mod acl_file;
mod decision;
mod glob;
mod granted;
mod identity;
mod layer;
mod memo;
mod overlap;
mod pattern;
mod permit;
mod rule;
mod rules;
mod source;
#[cfg(test)]
mod tests;

pub use acl_file::{AclFile, LineError};
pub use decision::{Action, Decision, Ground, Place};
pub use glob::Glob;
pub use granted::Granted;
pub use identity::Identity;
pub use layer::{Entry, Grant, Layer};
pub use pattern::{Pattern, PatternError, Places};
pub use permit::{Access, DeniedPublish, Permit, Policy};
pub use rule::{Rule, Who};
pub use rules::Rules;
pub use source::Source;
