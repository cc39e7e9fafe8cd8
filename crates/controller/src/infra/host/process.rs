//! An Envoy process that outlives the controller: started, found again, asked to end.
//!
//! A controller that crashes must not take traffic with it. So Envoy is not tied to us: it runs in a process group of
//! its own, writes to files, and is known by a record of its pid and start time (a pid alone may be somebody else's).

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// How often is looked whether a process that is not our child has ended.
const LOOK: Duration = Duration::from_millis(100);

/// What is written down of a running Envoy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The process id.
    pub(super) pid: i32,
    /// When the process started, in clock ticks since boot.
    pub(super) started: u64,
    /// What it was started with: a hash of program, arguments and bootstrap.
    pub(super) made_from: String,
}

/// A running Envoy, by whomever it was started.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) record: Record,
    /// Where it is our child: it has to be waited for, or it stays as a zombie.
    child: Option<Child>,
}

/// The files of one Envoy.
#[derive(Clone, Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn bootstrap(&self) -> PathBuf {
        self.dir.join("bootstrap.json")
    }

    /// Envoy's admin interface. A socket with a path, so that it needs no port and is for us alone.
    pub(super) fn admin_socket(&self) -> PathBuf {
        self.dir.join("admin.sock")
    }

    /// Envoy's own log.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("envoy.log")
    }

    /// What it writes to its standard output: access logs.
    pub(super) fn access_log(&self) -> PathBuf {
        self.dir.join("access.log")
    }

    fn record(&self) -> PathBuf {
        self.dir.join("envoy.json")
    }
}

impl Process {
    /// Starts Envoy.
    pub(super) fn start(program: &Path, args: &[String], files: &Files, made_from: &str) -> io::Result<Self> {
        // What is left of one that was killed would be in the way.
        remove(&files.admin_socket())?;
        let log = |path: PathBuf| OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(log(files.access_log())?).stderr(log(files.log())?);
        command.current_dir(files.dir()).process_group(0);
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let record = Record { pid, started: started(pid).unwrap_or_default(), made_from: made_from.to_owned() };
        let mut process = Self { record, child: Some(child) };
        if let Err(error) = write_atomically(&files.record(), &serde_json::to_vec(&process.record)?) {
            process.signal(Signal::SIGKILL);
            return Err(error);
        }
        Ok(process)
    }

    /// Finds the Envoy that an earlier controller started, if it still runs.
    pub(super) fn find(files: &Files) -> Option<Self> {
        let record: Record = serde_json::from_slice(&fs::read(files.record()).ok()?).ok()?;
        (started(record.pid) == Some(record.started)).then_some(Self { record, child: None })
    }

    /// Sends a signal, if it is still the same process.
    pub(super) fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            match kill(Pid::from_raw(self.record.pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => {
                    tracing::warn!(component = "infrastructure", pid = self.record.pid, %error, "cannot signal Envoy")
                }
            }
        }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().is_ok_and(|status| status.is_some()),
            None => started(self.record.pid) != Some(self.record.started),
        }
    }

    /// How it ended, for people.
    pub(super) fn ending(&mut self) -> String {
        let status = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        status.map_or_else(|| "ended".to_owned(), |status| status.to_string())
    }

    /// Waits until it has ended. Cancel safe.
    pub(super) async fn ended(&mut self) {
        while !self.has_ended() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// When a process started, in clock ticks since boot; `None` when there is none, or only what is left of it.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything: count from the last bracket. The state
    // is field 3 and the start time field 22 of proc_pid_stat(5).
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then_some(())?;
    fields.nth(18)?.parse().ok()
}

/// Writes a file whole or not at all, readable for its owner alone.
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    remove(&temporary)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
    io::Write::write_all(&mut file, content)?;
    fs::rename(&temporary, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(files: &Files) -> Process {
        Process::start(Path::new("/bin/sleep"), &["60".to_owned()], files, "x").unwrap()
    }

    #[tokio::test]
    async fn a_process_is_found_again_while_it_runs() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        let mut process = sleeper(&files);
        let mut found = Process::find(&files).unwrap();
        assert_eq!(found.record, process.record);
        assert!(!found.has_ended());
        process.signal(Signal::SIGKILL);
        process.ended().await;
        assert!(found.has_ended() && Process::find(&files).is_none());
        assert!(process.ending().contains("signal: 9"), "{}", process.ending());
    }

    #[test]
    fn another_process_with_that_pid_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        let mut process = sleeper(&files);
        let other = Record { started: process.record.started + 1, ..process.record.clone() };
        write_atomically(&files.record(), &serde_json::to_vec(&other).unwrap()).unwrap();
        assert!(Process::find(&files).is_none());
        Process { record: other, child: None }.signal(Signal::SIGKILL);
        assert!(!process.has_ended());
        process.signal(Signal::SIGKILL);
    }
}
