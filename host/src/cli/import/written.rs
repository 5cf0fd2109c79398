//! The files that an import makes: all of them or, when one is in the way, none.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Imported;

/// Its user's alone.
const SECRET: u32 = 0o600;
/// Further reduced by the umask.
const READABLE: u32 = 0o644;

pub fn all(output: &Path, imported: &Imported, force: bool) -> anyhow::Result<()> {
    let folder = output.parent().unwrap_or(Path::new(""));
    let secrets: Vec<(PathBuf, &str)> =
        imported.secrets.iter().map(|secret| (folder.join(&secret.file), secret.text.as_str())).collect();
    let mut paths = secrets.iter().map(|(path, _)| path.as_path()).chain([output]);
    if let Some(path) = paths.find(|path| !force && path.symlink_metadata().is_ok()) {
        let advice = "name another file with -o, or write over it with --force";
        anyhow::bail!("`{}` is there already: {advice}", path.display());
    }
    for (path, text) in &secrets {
        write(path, &format!("{text}\n"), SECRET, force)?;
    }
    write(output, &imported.text, READABLE, force)
}

fn write(path: &Path, text: &str, mode: u32, force: bool) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    if force && path.symlink_metadata().is_ok() {
        // Its mode stays when it is opened, and others may have it open.
        fs::remove_file(path).with_context(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).with_context(failed)?;
    if mode == SECRET {
        file.set_permissions(Permissions::from_mode(SECRET)).with_context(failed)?;
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::super::{import, paths::Paths, source};
    use super::*;

    const BRIDGE: &str =
        "connection cloud\naddress broker\nremote_username u\nremote_password geheim \ntopic # out 1\n";

    fn imported(output: &Path) -> Imported {
        import(&source::lines(BRIDGE, "m.conf", 0), "m.conf", &Paths::new(Path::new("m.conf"), output), true)
    }

    #[test]
    fn a_password_is_in_a_file_of_its_own_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("gateway.toml");
        let imported = imported(&output);
        all(&output, &imported, false).unwrap();
        let secret = folder.path().join("cloud.password");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "geheim\n");
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        let said = [&imported.text, &imported.report.talk(), &fs::read_to_string(&output).unwrap()]
            .map(|t| t.contains("geheim"));
        assert_eq!(said, [false; 3]);
    }

    #[test]
    fn nothing_is_written_over_unless_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("gateway.toml");
        let imported = imported(&output);
        let secret = folder.path().join("cloud.password");
        fs::write(&secret, "mine").unwrap();
        let refused = all(&output, &imported, false).unwrap_err().to_string();
        assert!(refused.contains("cloud.password") && refused.contains("--force"), "{refused}");
        assert!(!output.exists() && fs::read_to_string(&secret).unwrap() == "mine");
        fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
        all(&output, &imported, true).unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(all(&output, &imported, false).is_err());
    }
}
