//! Envoy's logs become ours.
//!
//! Envoy writes to files, not to a pipe, since it has to go on when the controller is gone. A file is read to its end now
//! and then, and what was read is cut out of it (a hole is punched), so it takes no room while it grows.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::Duration,
};

use nix::fcntl::{FallocateFlags, fallocate};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// How much is read at once, and how long a line may be.
const CHUNK: usize = 64 * 1024;

/// Follows the end of a file.
#[derive(Debug)]
struct Tail {
    file: File,
    position: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let position = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, position, rest: Vec::new() })
    }

    /// Hands all whole lines that are new to `take`.
    fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let from = self.position;
        self.file.seek(SeekFrom::Start(self.position))?;
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.position += u64::try_from(read).expect("64 KiB fit into 64 bits");
            self.rest.extend_from_slice(&buffer[..read]);
            let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if self.rest.len() >= CHUNK => self.rest.len(),
                None => continue,
            };
            take(&self.rest[..end]);
            self.rest.drain(..end);
        }
        if self.position > from {
            self.forget();
        }
        Ok(())
    }

    /// Gives back the room of what was read. Where the file system cannot, the file grows, as logs do.
    fn forget(&self) {
        let Ok(length) = i64::try_from(self.position) else { return };
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let _ = fallocate(&self.file, flags, 0, length);
    }
}

/// Follows the log and the access log of an Envoy until it is cancelled.
pub(super) async fn follow(fleet: &str, log: &Path, access_log: &Path) {
    let (mut log, mut access_log) = match (Tail::open(log), Tail::open(access_log)) {
        (Ok(log), Ok(access_log)) => (log, access_log),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(component = "infrastructure", fleet, %error, "Envoy's log cannot be read");
            return;
        }
    };
    let mut turns = tokio::time::interval(LOOK);
    loop {
        turns.tick().await;
        let read = log.read(|text| String::from_utf8_lossy(text).lines().for_each(|line| tell(fleet, line)));
        let copied = access_log.read(|text| {
            // Whoever closed our standard output does not want the lines.
            let _ = io::stdout().lock().write_all(text);
        });
        if let Err(error) = read.and(copied) {
            tracing::warn!(component = "infrastructure", fleet, %error, "Envoy's log cannot be read");
            return;
        }
    }
}

/// One line of Envoy's log as one of ours: `[time][thread][level][component] [file:line] message`.
fn tell(fleet: &str, line: &str) {
    let (level, message) = parse(line);
    match level {
        "critical" | "error" => tracing::error!(component = "envoy", fleet, "{message}"),
        "warning" => tracing::warn!(component = "envoy", fleet, "{message}"),
        "debug" => tracing::debug!(component = "envoy", fleet, "{message}"),
        "trace" => tracing::trace!(component = "envoy", fleet, "{message}"),
        _ => tracing::info!(component = "envoy", fleet, "{message}"),
    }
}

/// The level and the message of a line; a line of another form is an `info`.
fn parse(line: &str) -> (&str, &str) {
    let mut rest = line;
    let mut level = "info";
    for field in 0..4 {
        let Some((value, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return ("info", line);
        };
        if field == 2 {
            level = value;
        }
        rest = after;
    }
    (level, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_level() {
        let line = "[2026-11-21 07:00:00.123][42][warning][config] [source/server.cc:7] it [is] so";
        assert_eq!(parse(line), ("warning", "[source/server.cc:7] it [is] so"));
        assert_eq!(parse("something else"), ("info", "something else"));
    }

    #[test]
    fn whole_lines_are_read_once_and_take_no_room() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::open(&path).unwrap();
        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        let mut lines = Vec::new();
        for text in ["a\nb", "c\n", "d\n"] {
            writer.write_all(text.as_bytes()).unwrap();
            tail.read(|text| lines.push(String::from_utf8(text.to_vec()).unwrap())).unwrap();
        }
        assert_eq!(lines, ["a\n", "bc\n", "d\n"]);
        writer.write_all(&vec![b'x'; 1 << 20]).unwrap();
        tail.read(|_| {}).unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        assert!(meta.len() > 1 << 20 && meta.blocks() * 512 < 1 << 18, "{meta:?}");
    }
}
