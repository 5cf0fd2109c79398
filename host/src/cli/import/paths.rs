//! Files that a mosquitto.conf names, as the new configuration has to name them: its paths begin at its own folder.

use std::path::{Path, PathBuf};

pub struct Paths {
    from: PathBuf,
    to: PathBuf,
}

// === impl Paths ===

impl Paths {
    /// From the folder of one file to that of the other; both as they were typed.
    pub fn new(from: &Path, to: &Path) -> Self {
        let folder = |file: &Path| file.parent().map(Path::to_owned).unwrap_or_default();
        Self { from: folder(from), to: folder(to) }
    }

    /// mosquitto's relative paths begin where it is started, which its file does not say: mostly beside it.
    pub fn of(&self, path: &str) -> String {
        if self.from == self.to || Path::new(path).is_absolute() {
            return path.to_owned();
        }
        let joined = self.from.join(path);
        std::path::absolute(&joined).unwrap_or(joined).display().to_string()
    }

    pub fn folder(&self) -> &Path {
        &self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_the_same_file_from_another_folder() {
        let same = Paths::new(Path::new("m.conf"), Path::new("gateway.toml"));
        assert_eq!(same.of("certs/ca.crt"), "certs/ca.crt");
        let other = Paths::new(Path::new("/etc/mosquitto/m.conf"), Path::new("out/gateway.toml"));
        assert_eq!(other.of("certs/ca.crt"), "/etc/mosquitto/certs/ca.crt");
        assert_eq!(other.of("/x/ca.crt"), "/x/ca.crt");
    }
}
