//! What concerns the module as a whole. The rest stands beside the code.

mod fuzz_components;

use super::*;
