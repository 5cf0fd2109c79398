//! Topics: a checked name, a checked filter, the trie that joins them, and the template that makes new names.

mod filter;
mod name;
mod template;
mod trie;

pub use filter::{FilterError, SharedFilter, TopicFilter};
pub use name::{NameError, TopicName};
pub use template::{RenderError, Template, TemplateError, TemplateValues};
pub use trie::Trie;

/// The longest topic or filter in bytes (MQTT 5, section 4.7.3: a UTF-8 string of at most 65,535 bytes).
pub const MAX_BYTES: usize = 65_535;

/// The deepest topic or filter. The specification sets no limit; without one, a topic of 65,535 slashes makes
/// every later match walk 65,535 levels. Mosquitto's limit is 200 as well.
pub const MAX_LEVELS: usize = 200;
