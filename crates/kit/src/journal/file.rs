//! A file that gives way to a new one when it is full.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Lost, Sink};
use crate::otlp::Record;

/// A file that rotates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct File {
    /// Its path. What is no regular file, such as /dev/stdout, does not rotate.
    pub path: PathBuf,
    /// After how many bytes a new one begins. Default 100 MiB.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
    /// How many old ones are kept, as `path.1` and so on. Default 5.
    #[serde(default = "keep")]
    pub keep: usize,
}

fn max_bytes() -> u64 {
    100 << 20
}

fn keep() -> usize {
    5
}

/// A file and those before it.
#[derive(Debug)]
pub(super) struct Rotating {
    settings: File,
    /// Nothing when it could not be opened: the next batch tries again.
    file: Option<fs::File>,
    size: u64,
    /// Above this size it gives way.
    limit: u64,
}

impl Rotating {
    pub(super) fn open(settings: File) -> io::Result<Self> {
        let mut rotating = Self { settings, file: None, size: 0, limit: 0 };
        match rotating.opened() {
            Ok(_) => Ok(rotating),
            Err(error) => {
                let what = format!("cannot open {}: {error}", rotating.settings.path.display());
                Err(io::Error::new(error.kind(), what))
            }
        }
    }

    fn opened(&mut self) -> io::Result<&mut fs::File> {
        if self.file.is_none() {
            let path = &self.settings.path;
            let file = fs::OpenOptions::new().create(true).append(true).open(path)?;
            let regular = fs::symlink_metadata(path)?.is_file();
            self.limit = if regular { self.settings.max_bytes } else { u64::MAX };
            self.size = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Lets go of a file that others have moved away, as logrotate does, and sees when they have emptied it.
    fn look(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.limit < u64::MAX) else { return Ok(()) };
        let open = file.metadata()?;
        let is_same = |there: &fs::Metadata| (there.dev(), there.ino()) == (open.dev(), open.ino());
        if fs::metadata(&self.settings.path).is_ok_and(|there| is_same(&there)) {
            self.size = open.len();
        } else {
            self.file = None;
        }
        Ok(())
    }

    /// Writes all of a text or nothing.
    fn append(&mut self, text: &str) -> io::Result<()> {
        let (size, regular) = (self.size, self.limit < u64::MAX);
        let file = self.opened()?;
        let written = file.write_all(text.as_bytes());
        if written.is_ok() {
            self.size += text.len() as u64;
        } else if regular {
            // Half a line would make one of the next that nobody can read. Of a pipe nothing can be taken back.
            let _ = file.set_len(size);
        }
        written
    }

    /// A file that cannot give way grows on: what is kept matters more.
    fn rotate(&mut self) {
        match self.give_way() {
            Ok(()) => self.file = None,
            // Somebody else has taken it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.file = None,
            Err(error) => {
                self.limit = self.size.saturating_add(self.settings.max_bytes);
                tracing::error!(path = %self.settings.path.display(), %error, "cannot rotate, the file grows on");
            }
        }
    }

    fn give_way(&self) -> io::Result<()> {
        let File { path, keep, .. } = &self.settings;
        if *keep == 0 {
            return fs::remove_file(path);
        }
        // Up to the first gap, so that a rotation that failed midway costs no old file when it is tried again.
        let free = (1..*keep).find(|number| !numbered(path, *number).exists()).unwrap_or(*keep);
        for number in (1..free).rev() {
            fs::rename(numbered(path, number), numbered(path, number + 1))?;
        }
        fs::rename(path, numbered(path, 1))
    }
}

pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Sink for Rotating {
    fn write(&mut self, batch: &[Record]) -> Result<(), Lost> {
        let (mut lost, mut rest, mut rotated) = (None, batch, false);
        self.look().map_err(|why| Lost { records: rest.len(), why })?;
        while !rest.is_empty() {
            self.opened().map_err(|why| Lost { records: rest.len() + lost_so_far(&lost), why })?;
            let (text, count) = self.fitting(rest, rotated);
            rotated = count == 0;
            if rotated {
                self.rotate();
                continue;
            }
            rest = &rest[count..];
            if let Err(why) = self.append(&text) {
                lost = Some(Lost { records: count + lost_so_far(&lost), why });
            }
        }
        lost.map_or(Ok(()), Err)
    }
}

fn lost_so_far(lost: &Option<Lost>) -> usize {
    lost.as_ref().map_or(0, |lost| lost.records)
}

impl Rotating {
    /// As many of these as have room in the file, and how many they are. One that is empty, or has just rotated if it could, has
    /// room for the first however large.
    fn fitting(&self, records: &[Record], rotated: bool) -> (String, usize) {
        let (mut text, mut count) = (String::new(), 0);
        for record in records {
            let size = self.size + text.len() as u64;
            let first = count == 0 && (rotated || size == 0);
            if !first && size.saturating_add(record.body.len() as u64) >= self.limit {
                break;
            }
            text.push_str(&record.body);
            text.push('\n');
            count += 1;
        }
        (text, count)
    }
}
