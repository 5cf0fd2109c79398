//! Where the socket is. Its address has room for about a hundred bytes, and a data folder may be deeper than that.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

const NAME: &str = "admin.sock";
/// `sun_path` of Linux has 108 bytes with its end.
const LONGEST: usize = 107;

/// Calls with a path that fits: the folder's own, or one through its descriptor.
pub fn with_path<T>(dir: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = dir.join(NAME);
    if path.as_os_str().len() <= LONGEST {
        return call(&path);
    }
    let folder = File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    call(&short.join(NAME))
}
