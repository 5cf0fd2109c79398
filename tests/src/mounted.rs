//! A file system of its own for a test to fill, to make read-only, and to cut the power of. Needs root, and says what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `ext4_shutdown(EXT4_GOING_FLAGS_NOLOGFLUSH)`: from now on nothing reaches the device, not even what the kernel had promised
/// itself to write. perl, because an `ioctl` is unsafe in Rust, and every Debian has it.
const CUT: &str = r#"
    my ($place) = @ARGV;
    open(my $directory, "<", $place) or die "open: $!";
    my $without_flushing_the_log = pack("L", 2);
    ioctl($directory, 0x8004587D, $without_flushing_the_log) or die "ioctl: $!";
"#;

/// Unmounted when dropped.
pub struct Mounted {
    at: PathBuf,
    image: Option<PathBuf>,
}

/// Why this machine cannot do it.
pub type Reason = String;

// === impl Mounted ===

impl Mounted {
    /// An ext4 of so many MiB in a file beside `at`.
    pub fn ext4(at: &Path, mib: u64) -> Result<Self, Reason> {
        let image = at.with_extension("ext4");
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let file = fs::File::create(&image).and_then(|file| file.set_len(mib << 20));
        file.map_err(|error| format!("{}: {error}", image.display()))?;
        run("mkfs.ext4", &["-q", "-F"], &[&image])?;
        let mounted = Self { at: at.to_owned(), image: Some(image) };
        mounted.mount_image()?;
        Ok(mounted)
    }

    /// A file system in memory, of so many MiB.
    pub fn tmpfs(at: &Path, mib: u64) -> Result<Self, Reason> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"], &[at])?;
        Ok(Self { at: at.to_owned(), image: None })
    }

    /// The power is gone for this file system: what was not synced is lost, everything fails from now on.
    pub fn cut_power(&self) -> Result<(), Reason> {
        run("perl", &["-e", CUT], &[&self.at])
    }

    /// The power is back. Nobody may use it meanwhile.
    pub fn power_on(&self) -> Result<(), Reason> {
        run("umount", &[], &[&self.at])?;
        self.mount_image()
    }

    /// What a kernel does to ext4 after an error of the medium. Asked for politely (`remount,ro`) it refuses while a file is open.
    pub fn fall_read_only(&self) -> Result<(), Reason> {
        run("mount", &["-o", "remount,abort"], &[&self.at])
    }

    fn mount_image(&self) -> Result<(), Reason> {
        let image = self.image.as_deref().ok_or("a tmpfs does not come back")?;
        run("mount", &["-t", "ext4", "-o", "loop"], &[image, &self.at])
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that a failing test left behind may still be in it.
        let _ = run("umount", &["-l"], &[&self.at]);
    }
}

fn run(program: &str, args: &[&str], paths: &[&Path]) -> Result<(), Reason> {
    // Debian keeps these out of the PATH of users.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).env("PATH", path).args(args).args(paths).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said.trim())) }
}
