//! Child processes that never outlive the test.
//!
//! Three nets, from the usual to the desperate:
//! 1. dropping a [`Process`] kills its whole process group, so what it started itself goes too;
//! 2. when the test process dies without dropping (a signal, an abort), the kernel kills the child: `setpriv --pdeathsig KILL`
//!    (util-linux) sets that up, so nothing of ours runs between fork and exec;
//! 3. the log of a child ends up in the test's output when the test panics.
//!
//! The kernel's parent-death signal is about the *thread* that started the child, not the process. A test's thread, or an idle
//! tokio worker, ends long before the process does and would take the child with it. So every child is started from one thread
//! that lives as long as the process.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tempfile::TempPath;

use crate::proc;
use crate::wait::{wait_for, wait_until_blocking};

/// How many lines of a child's log a panicking test shows.
const TAIL: usize = 60;

/// What to start: program, arguments, environment, directory and log.
#[derive(Debug)]
pub struct Spec {
    program: OsString,
    name: Option<String>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    log: Option<PathBuf>,
}

impl Spec {
    /// A program by path, or by its name on PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        Self { program, name: None, args: Vec::new(), env: Vec::new(), dir: None, log: None }
    }

    /// What messages call it, for a program that only starts the one that matters.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable; the others are inherited.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Writes standard output and error to this file (truncated first) instead of a temporary one.
    #[must_use]
    pub fn log_to(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Starts the process.
    pub fn start(self) -> Result<Process> {
        let (log, temporary) = match self.log {
            Some(path) => (path, None),
            None => {
                let file = tempfile::Builder::new().prefix("portcullis-").suffix(".log").tempfile()?.into_temp_path();
                (file.to_path_buf(), Some(file))
            }
        };
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.args).envs(self.env);
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).process_group(0);
        if let Some(dir) = self.dir {
            command.current_dir(dir);
        }
        let file = Path::new(&self.program).file_name().unwrap_or(&self.program);
        let name = self.name.unwrap_or_else(|| file.to_string_lossy().into_owned());
        let child = spawn_on_lasting_thread(command).with_context(|| format!("cannot start {name} by setpriv"))?;
        Ok(Process { name, child, log, _temporary: temporary })
    }
}

type Job = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a command from the one thread that lives as long as this process (see the module's docs).
fn spawn_on_lasting_thread(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                // The asking side waits for the reply; if it has gone, nobody wants the child.
                if let Err(mpsc::SendError(Ok(mut orphan))) = reply.send(command.spawn()) {
                    let _ = orphan.kill();
                }
            }
        });
        Mutex::new(sender)
    });
    let (reply, answer) = mpsc::channel();
    spawner.lock().expect("sending does not panic").send((command, reply)).context("the spawner thread has gone")?;
    Ok(answer.recv().context("the spawner thread has gone")??)
}

/// A running child, in a process group of its own. Dropping it kills the group at once.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    _temporary: Option<TempPath>,
}

impl Process {
    /// Its process id; also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds its standard output and error.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Whether it has ended, and how.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.look(WaitPidFlag::WNOHANG).ok().flatten()
    }

    /// Sends a signal to the process itself (not to what it has started).
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.nix_pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Kills the process itself at once and waits until it is gone; what it has started lives on until this value is dropped.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.look(WaitPidFlag::empty())?.with_context(|| format!("{} has ended in an unknown way", self.name))
    }

    /// Asks the process to end (SIGTERM) and waits for it; an error after the deadline, and then it is killed.
    pub async fn terminate(mut self, deadline: Duration) -> Result<ExitStatus> {
        if self.exited().is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait_exit(deadline).await
    }

    /// Waits until the process ends by itself.
    pub async fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, deadline, async || self.exited()).await
    }

    /// Waits for the first line of its log that `wanted` accepts, also one that is there already.
    pub async fn wait_for_line(&mut self, deadline: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let what = format!("a line in the log of {}", self.name);
        let found = wait_for(&what, deadline, async || {
            let ended = self.exited();
            let line = self.log().lines().find(|line| wanted(line)).map(str::to_owned);
            match (line, ended) {
                (Some(line), _) => Some(Ok(line)),
                (None, Some(status)) => Some(Err(status)),
                (None, None) => None,
            }
        });
        match found.await.with_context(|| self.tail())? {
            Ok(line) => Ok(line),
            Err(status) => anyhow::bail!("{} ended ({status}) before the line came:\n{}", self.name, self.tail()),
        }
    }

    /// The processor time that its threads have used, to the nanosecond; that of threads that have ended is not in it.
    pub fn processor_time(&self) -> Result<Duration> {
        proc::processor_time(self.pid())
    }

    /// Its resident memory in MiB.
    pub fn resident_mebibytes(&self) -> Result<f64> {
        proc::mebibytes(self.pid(), "VmRSS")
    }

    /// The last lines of its log, for error messages.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// How it has ended, if it has. It is not collected yet: so its number stays its own, and its group's, until it is dropped.
    fn look(&self, how: WaitPidFlag) -> Result<Option<ExitStatus>> {
        loop {
            match waitid(Id::Pid(self.nix_pid()), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | how) {
                // In the words of wait(2): the code is the second byte, the signal the first.
                Ok(WaitStatus::Exited(_, code)) => return Ok(Some(ExitStatus::from_raw(code << 8))),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Some(ExitStatus::from_raw(signal as i32))),
                Ok(_) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).with_context(|| format!("cannot wait for {}", self.name)),
            }
        }
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("── the end of the log of {} ──\n{}", self.name, self.tail());
        }
        // The group is there, as nobody has collected its leader yet.
        let group = self.nix_pid();
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        let _ = wait_until_blocking("the end of the process group", Duration::from_secs(1), || {
            killpg(group, None).is_err()
        });
    }
}
