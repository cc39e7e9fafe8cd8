//! From `main` to a running service and its orderly end.
//!
//! ```text
//! flags, one YAML file ─▶ telemetry ─▶ admin port ─▶ serve(Kit, Reloading<Config>) ─▶ drain ─▶ exit code
//! ```

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admin::{self, Part};
use crate::drain;
use crate::kit::Kit;
use crate::net::{Address, Purpose};
use crate::reload::Reloading;
use crate::signal::Signals;
use crate::tasks::{BoxError, chain, panic_message};
use crate::telemetry::{self, Format, Levels};
use crate::{config, reload};

/// The exit code of a process whose configuration is wrong.
pub const BAD_CONFIG: u8 = 2;

/// The flags that every service has.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// The configuration, one YAML file. It is followed: what changes is taken over while running.
    #[arg(long, value_name = "FILE")]
    pub config_path: Option<PathBuf>,
    /// The admin port: host:port or unix:/path. [default: the configuration's]
    #[arg(long, value_name = "ADDRESS")]
    pub admin_addr: Option<Address>,
    /// Log levels, such as info or info,xds=debug. [default: the configuration's, or info]
    #[arg(long, value_name = "LEVELS")]
    pub log_level: Option<Levels>,
    /// How log lines look. [default: the configuration's, or text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}

/// What every service's configuration has: the fields `admin`, `telemetry` and `drain`.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// The admin port.
    pub admin: admin::Settings,
    /// Logs and traces.
    pub telemetry: telemetry::Settings,
    /// How long the end takes.
    pub drain: drain::Settings,
}

impl Common {
    /// These settings with the flags' in their place where given.
    #[must_use]
    pub fn with_flags(mut self, flags: &Flags) -> Self {
        self.admin.address = flags.admin_addr.clone().or(self.admin.address);
        if let Some(levels) = &flags.log_level {
            self.telemetry.log.level = levels.clone();
        }
        self.telemetry.log.format = flags.log_format.unwrap_or(self.telemetry.log.format);
        self
    }
}

/// A service's configuration file.
pub trait Config: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The fields that all services share.
    fn common(&self) -> Common;

    /// The admin port when neither flag nor file names one: `127.0.0.1:6070`.
    fn default_admin() -> &'static str;

    /// What `/config` shows; secrets in it have to be [`Redacted`](crate::redact::Redacted).
    fn shown(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Takes settings over from environment variables, which go before the file: for services that stand in for another one
    /// that is configured so. `variable` finds a variable that is set.
    fn with_environment(self, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, config::Error> {
        let _ = variable;
        Ok(self)
    }

    /// Checks what types cannot say. A finding comes from [`config::Document::finding`].
    fn check(&self, document: &config::Document) -> Result<(), config::Finding> {
        let _ = document;
        Ok(())
    }
}

/// Runs a service as the flags say.
pub(crate) fn run_with_flags<C, S, F, E>(
    service: &'static str,
    version: &'static str,
    flags: Flags,
    serve: S,
) -> ExitCode
where
    C: Config,
    S: FnOnce(Kit, Reloading<C>) -> F + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let common = match load::<C>(flags.config_path.as_deref()) {
        Ok(config) => config.common().with_flags(&flags),
        Err(error) => return report(service, &error),
    };
    launch(service, version, &common.clone(), move |kit| async move {
        let address = common.admin.address.clone().map_or_else(|| C::default_admin().parse(), Ok)?;
        kit.admin.listen(&address, ADMIN, Part::All).await?;
        let config = follow_config::<C>(&kit, flags).await?;
        serve(kit, config).await.map_err(Into::into)
    })
}

/// The admin port and how to move it.
pub const ADMIN: Purpose = Purpose { name: "admin", setting: "--admin-addr or the field admin.address" };

fn load<C: Config>(path: Option<&std::path::Path>) -> Result<C, config::Error> {
    let document = match path {
        Some(path) => config::single(&path.display().to_string(), &config::read_text(path)?)?,
        None => config::single("(no configuration file)", "")?,
    };
    let (value, unknown) = document.read::<C>()?;
    if let Some(finding) = unknown.into_iter().next() {
        return Err(finding.into());
    }
    let value = value.with_environment(&|name| std::env::var(name).ok().filter(|text| !text.is_empty()))?;
    value.check(&document)?;
    Ok(value)
}

/// Follows the file, shows it in `/config`, and takes over log levels that change in it.
async fn follow_config<C: Config>(kit: &Kit, flags: Flags) -> Result<Reloading<C>, BoxError> {
    let path = flags.config_path.clone();
    let files: Vec<PathBuf> = path.iter().cloned().collect();
    let config = if files.is_empty() {
        Reloading::fixed(load::<C>(None)?)
    } else {
        kit.reloader().follow("config", &files, move || load::<C>(path.as_deref())).await?
    };
    let shown = config.clone();
    kit.admin.show_config(move || shown.get().shown());
    follow_levels(kit, config.clone(), flags);
    Ok(config)
}

fn follow_levels<C: Config>(kit: &Kit, mut config: reload::Reloading<C>, flags: Flags) {
    let (log, shutdown) = (kit.log.clone(), kit.shutdown.clone());
    let levels = move |config: &C| config.common().with_flags(&flags).telemetry.log.level;
    let mut last = levels(&config.get());
    kit.tasks.spawn("log levels", async move {
        while let Some(next) = shutdown.unless_stopping(config.changed()).await {
            // Levels set by the admin port stay until the file names others.
            let next = levels(&next);
            if next != last {
                log.set(next.clone());
                last = next;
            }
        }
        Ok::<(), BoxError>(())
    });
}

/// Runs `serve` with a new runtime, telemetry and signals, and drains at the end: for binaries with a command line of
/// their own. The admin port is up to them ([`Kit::admin`]).
pub fn launch<S, F>(service: &'static str, version: &'static str, common: &Common, serve: S) -> ExitCode
where
    S: FnOnce(Kit) -> F + Send + 'static,
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(service, &error),
    };
    let result = runtime.block_on(async {
        let telemetry = telemetry::init(service, version, &common.telemetry)?;
        let kit = Kit::new(service, version, telemetry.log.clone());
        let result = supervise(&kit, common.drain, serve(kit.clone())).await;
        // Sending the last traces blocks, while the runtime has to go on sending.
        let _ = tokio::task::spawn_blocking(move || telemetry.finish()).await;
        result
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(service, &*error),
    }
}

/// Prints why a process ends and gives its exit code.
pub fn report(service: &str, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("{service}: {}", chain(error));
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.any(|cause| cause.is::<config::Error>()) { ExitCode::from(BAD_CONFIG) } else { ExitCode::FAILURE }
}

/// Runs `serve` until it and all tasks have ended, a signal comes or a task fails; then drains. The error of `serve` or of
/// the first task that failed.
pub async fn supervise<F>(kit: &Kit, drain: drain::Settings, serve: F) -> Result<(), BoxError>
where
    F: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let mut signals = Signals::listen()?;
    let running = tokio::spawn(serve);
    let tasks = kit.tasks.clone();
    let mut all = pin!(async move {
        let served = match running.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(format!("panicked: {}", panic_message(&*error.into_panic())).into()),
            Err(error) => Err(error.into()),
        };
        if served.is_ok() {
            tasks.finished().await;
        }
        served
    });
    let signalled = tokio::select! {
        served = &mut all => {
            kit.shutdown.force();
            return served.and_then(|()| failure(kit));
        }
        signal = signals.next() => Some(signal),
        failure = kit.tasks.failed() => {
            tracing::error!("ending: {failure}");
            None
        }
    };
    let mut done = pin!(async {
        end(kit, drain, signalled).await;
        all.await
    });
    let served = tokio::select! {
        served = &mut done => served,
        () = given_up(kit, drain, &mut signals) => {
            kit.shutdown.force();
            tokio::time::timeout(Duration::from_secs(1), &mut done).await.unwrap_or(Ok(()))
        }
    };
    kit.shutdown.force();
    served.and_then(|()| failure(kit))
}

fn failure(kit: &Kit) -> Result<(), BoxError> {
    kit.tasks.failure().map_or(Ok(()), |failure| Err(failure.into()))
}

/// Not ready, the delay (only when there is something to serve meanwhile), then nothing is accepted any more.
async fn end(kit: &Kit, drain: drain::Settings, signalled: Option<&'static str>) {
    kit.gates.gate("running").close("shutting down");
    if let Some(signal) = signalled {
        tracing::info!(signal, delay = ?drain.delay, deadline = ?drain.deadline, "draining");
        tokio::time::sleep(drain.delay).await;
    }
    kit.shutdown.stop();
}

/// Returns at the deadline or at a second signal.
async fn given_up(kit: &Kit, drain: drain::Settings, signals: &mut Signals) {
    let deadline = async {
        kit.shutdown.stopping().await;
        tokio::time::sleep(drain.deadline).await;
    };
    tokio::select! {
        () = deadline => tracing::warn!("the deadline is over, giving up what is still in flight"),
        signal = signals.next() => tracing::warn!(signal, "a second signal, giving up what is still in flight"),
    }
}
