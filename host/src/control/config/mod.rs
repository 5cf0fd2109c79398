//! The configuration: what was typed (`raw`), what is meant (`checked`), and every problem between the two.

mod checked;

pub use checked::*;
