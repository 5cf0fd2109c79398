//! Where a data folder is: on which machine, and as which file.
//!
//! Only what stays through reboots, updates and new installations of the system. Not `/etc/machine-id`: a cloned card has it too, and
//! systems with a root that cannot be written make a new one with each boot. Not the addresses of network cards, which are
//! replaced.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What boards and firmware say of themselves, the more trustworthy first.
const SOURCES: [&str; 3] = [
    "/sys/firmware/devicetree/base/serial-number",
    "/proc/device-tree/serial-number",
    // Readable by root only.
    "/sys/class/dmi/id/product_uuid",
];

/// What firmware says that was never given a number: all zeros, all ones, and this.
const NEVER_SET: &str = "03000200-0400-0500-0006-000700080009";

/// What is not known is not there, and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A digest of the machine's own number.
    #[serde(default)]
    pub machine: Option<String>,
    /// The number of the file that this is written in. A copy of the file has another one.
    #[serde(default)]
    pub inode: Option<u64>,
}

// === impl Place ===

impl Place {
    pub fn of_machine() -> Self {
        let number = SOURCES.iter().find_map(|path| number(Path::new(path)));
        // Not the number itself: some of them are meant to be secret.
        let digest = |number: String| format!("{:x}", Sha256::digest(format!("tidegate:{number}")));
        Self { machine: number.map(digest), inode: None }
    }

    /// Why what was written at `self` is not at its place any more.
    pub fn why_other(&self, here: &Self, inode: Option<u64>) -> Option<&'static str> {
        if self.machine.is_some() && here.machine.is_some() && self.machine != here.machine {
            return Some("it was made on another machine");
        }
        let is_other_file = self.inode.is_some() && inode.is_some() && self.inode != inode;
        is_other_file.then_some("its files were copied or restored")
    }
}

fn number(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let number = text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_ascii_lowercase();
    let mut digits = number.chars().filter(char::is_ascii_alphanumeric);
    let first = digits.next()?;
    let is_set = digits.any(|digit| digit != first) && number != NEVER_SET;
    is_set.then_some(number)
}
