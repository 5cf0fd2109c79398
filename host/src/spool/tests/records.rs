//! Records for tests that look at nothing else.

use super::*;

/// With a message for the first upstream.
pub fn with_message(changes: &[Change]) -> Record {
    let outputs = vec![output(&(0, Q2, "x"))];
    Record { outputs, ..Record::changes(changes.to_vec(), Receipt::none()) }
}
