//! What a file may say and what it may not.

mod accepted;
mod golden;

use super::*;
