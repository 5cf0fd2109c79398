//! What was typed: a TOML document with the place of everything, read by asking.

mod complaint;
mod kind;
mod nested;
mod reader;
mod table;

pub use kind::{Kind, Limit};
pub use reader::Reader;
pub use table::Table;

/// A value and where it stands.
pub type Placed<T> = toml::Spanned<T>;
