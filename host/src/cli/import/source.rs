//! The lines of a mosquitto.conf and of what it includes, in the order in which mosquitto reads them.
//!
//! `include_dir` is followed in the first file only, as mosquitto does. What cannot be read there is named and no reason to stop:
//! whoever moves a configuration to another machine has not always all of it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context as _;

use super::line::{Line, Place};

/// Those of people have some kilobytes; a disk image by mistake is not read into memory.
const LARGEST: u64 = 1 << 20;

/// Of one file. Each line has the name of it.
pub fn lines(text: &str, file: &str, scope: usize) -> Vec<Line> {
    let file: Rc<str> = file.into();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = |(index, text)| Line::read(text, Place { file: file.clone(), number: index + 1 }, scope);
    text.split('\n').enumerate().filter_map(line).collect()
}

pub fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = text_of(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut all, mut scope) = (Vec::new(), 0);
    for line in lines(&text, &short(path, folder), 0) {
        let included = if line.keyword == "include_dir" { include(&line, folder, &mut scope) } else { Vec::new() };
        all.push(line);
        all.extend(included);
    }
    Ok(all)
}

fn include(line: &Line, folder: &Path, scope: &mut usize) -> Vec<Line> {
    if line.value.is_empty() {
        return Vec::new();
    }
    let files = match files_in(&folder.join(&line.value)) {
        Ok(files) => files,
        Err(error) => {
            let todo = "name the folder as it is on this machine, and import again";
            line.leave(format!("this folder cannot be read: {error}"), todo);
            return Vec::new();
        }
    };
    line.take();
    let mut all = Vec::new();
    for path in files {
        *scope += 1;
        match text_of(&path) {
            Ok(text) => all.extend(lines(&text, &short(&path, folder), *scope)),
            Err(error) => {
                let why = format!("`{}` in it cannot be read: {error}", path.display());
                line.leave(why, "make it readable, and import again");
            }
        }
    }
    all
}

/// From the folder of the first file: it stands beside each setting.
fn short(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// In the order of mosquitto: without regard to case, and of two that differ in case alone the upper one first.
fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("conf")) {
            files.push(path);
        }
    }
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.sort_by_cached_key(|path| (name(path).to_lowercase(), name(path)));
    Ok(files)
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB, which no mosquitto.conf is"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_and_lines_keep_their_numbers() {
        let lines = lines("\u{feff}# a\r\nlistener 1\r\n\n  # b\npersistence true", "m.conf", 0);
        let places: Vec<String> = lines.iter().map(Line::to_string).collect();
        assert_eq!(places, ["m.conf:2: listener 1", "m.conf:5: persistence true"]);
    }

    #[test]
    fn what_is_included_stands_where_it_is_included_in_the_order_of_mosquitto() {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("conf.d");
        fs::create_dir(&conf).unwrap();
        for name in ["b", "A", "01", "a", "B"] {
            fs::write(conf.join(format!("{name}.conf")), format!("user {name}\ninclude_dir x\n")).unwrap();
        }
        for other in ["c.bak", ".conf"] {
            fs::write(conf.join(other), "user no").unwrap();
        }
        let main = folder.path().join("m.conf");
        fs::write(&main, "user 1\ninclude_dir conf.d\nuser 2\n").unwrap();
        let lines = read(&main).unwrap();
        let users: Vec<&str> = lines.iter().filter(|line| line.keyword == "user").map(|line| &*line.value).collect();
        assert_eq!(users, ["1", "01", "A", "a", "B", "b", "2"]);
        assert_eq!(lines.iter().map(|line| line.scope).max(), Some(5));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_and_a_file_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("m.conf");
        assert!(read(&main).err().unwrap().to_string().contains("m.conf"));
        fs::write(&main, "include_dir gone\nuser 2\n").unwrap();
        let lines = read(&main).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(format!("{:?}", lines[0].fate()).contains("cannot be read"));
    }
}
