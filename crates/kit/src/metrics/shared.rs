//! What every process says of itself.

use super::catalogue::Described;

/// The metrics that every service has beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// What runs.
    BuildInfo,
    /// Configuration files taken over.
    ConfigReloads,
    /// Configuration files that were not usable.
    ConfigFailures,
    /// Whether the configuration file is in force.
    ConfigCurrent,
    /// Processor time.
    CpuSeconds,
    /// Memory.
    ResidentMemory,
    /// Open files.
    OpenFiles,
    /// Files that may be open.
    MaxFiles,
    /// Threads.
    Threads,
    /// When it started.
    Started,
}

impl Shared {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BuildInfo,
        Self::ConfigReloads,
        Self::ConfigFailures,
        Self::ConfigCurrent,
        Self::CpuSeconds,
        Self::ResidentMemory,
        Self::OpenFiles,
        Self::MaxFiles,
        Self::Threads,
        Self::Started,
    ];
}

impl Described for Shared {
    fn is_histogram(self) -> bool {
        false
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::BuildInfo => ("build_info", "Always 1; says what runs.", &["service", "version"]),
            Self::ConfigReloads => ("config_reloads_total", "Configuration files taken over.", &["config"]),
            Self::ConfigFailures => (
                "config_reload_failures_total",
                "Configuration files that were not usable; the old one stayed.",
                &["config"],
            ),
            Self::ConfigCurrent => {
                ("config_reload_last_successful", "1 when the file is in force, 0 when it is not usable.", &["config"])
            }
            Self::CpuSeconds => ("process_cpu_seconds_total", "Processor time used, user and system, in seconds.", &[]),
            Self::ResidentMemory => ("process_resident_memory_bytes", "Memory in use, in bytes.", &[]),
            Self::OpenFiles => ("process_open_fds", "Open file descriptors.", &[]),
            Self::MaxFiles => ("process_max_fds", "File descriptors that may be open.", &[]),
            Self::Threads => ("process_threads", "Threads.", &[]),
            Self::Started => ("process_start_time_seconds", "When the process started, in seconds since 1970.", &[]),
        }
    }
}
