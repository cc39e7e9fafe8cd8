//! Whether somebody has a file open for writing. Looked up before resources of a file are believed to be gone: on a busy
//! machine a writer may rest for long between emptying a file and filling it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// `O_WRONLY | O_RDWR` of open(2).
const WRITES: u32 = 0b11;

/// Whether a process that we can see has the file open for writing. Costs a look at all open files of the system.
pub(super) fn has_writer(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut processes =
        processes.filter(|process| process.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit()));
    processes.any(|process| writes(&process, &path))
}

fn writes(process: &Path, path: &Path) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let mut same = files.filter(|file| fs::read_link(file.path()).is_ok_and(|target| target == path));
    same.any(|file| flags(&process.join("fdinfo").join(file.file_name())).is_some_and(|flags| flags & WRITES != 0))
}

/// The flags that a file was opened with: the line `flags:` of proc_pid_fdinfo(5), in octal.
fn flags(info: &PathBuf) -> Option<u32> {
    let text = fs::read_to_string(info).ok()?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_told_from_readers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let writer = fs::File::create(&path).unwrap();
        assert!(has_writer(&path));
        drop(writer);
        let _reader = fs::File::open(&path).unwrap();
        assert!(!has_writer(&path));
    }
}
