//! What `/proc` says about this process, under the names that Prometheus clients use.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::catalogue::{Described, gauge, registered};
use super::shared::Shared;

/// Ticks per second of times in `/proc` (`USER_HZ`): 100 on every Linux that Rust runs on, part of the kernel's interface.
const TICKS: f64 = 100.0;

pub(super) struct Process {
    /// Held while reading, so that two readers do not add the same processor time twice.
    reading: Mutex<()>,
    cpu: Counter,
    resident: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
    threads: IntGauge,
    started: Gauge,
}

impl Process {
    pub(super) fn register(registry: &Registry) -> Self {
        let named = |metric: Shared| (metric.describe().0, metric.describe().1);
        let ((cpu, cpu_help), (started, started_help)) = (named(Shared::CpuSeconds), named(Shared::Started));
        Self {
            reading: Mutex::new(()),
            cpu: registered(registry, Counter::new(cpu, cpu_help)),
            started: registered(registry, Gauge::new(started, started_help)),
            resident: gauge(registry, Shared::ResidentMemory),
            open_files: gauge(registry, Shared::OpenFiles),
            max_files: gauge(registry, Shared::MaxFiles),
            threads: gauge(registry, Shared::Threads),
        }
    }

    /// Reads the values anew. What cannot be read keeps its value.
    pub(super) fn refresh(&self) {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stat) = Stat::read() {
            self.cpu.inc_by((stat.cpu_seconds - self.cpu.get()).max(0.0));
            self.threads.set(stat.threads);
            if let Some(booted) = boot_time() {
                self.started.set(booted + stat.started_seconds);
            }
        }
        if let Some(kilobytes) = field("/proc/self/status", "VmRSS:", 0) {
            self.resident.set(kilobytes * 1024);
        }
        if let Some(limit) = field("/proc/self/limits", "Max open files", 0) {
            self.max_files.set(limit);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(i64::try_from(files.count()).unwrap_or(i64::MAX));
        }
    }
}

/// The fields we use of `/proc/self/stat` (proc_pid_stat(5)).
struct Stat {
    cpu_seconds: f64,
    threads: i64,
    /// Seconds after the machine's start.
    started_seconds: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, which may hold spaces and brackets itself.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) / TICKS,
            threads: fields.get(20 - 3)?.parse().ok()?,
            started_seconds: number(22)? / TICKS,
        })
    }
}

fn boot_time() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The number at `index` behind `label` in a file of labelled lines.
fn field(path: &str, label: &str, index: usize) -> Option<i64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().nth(index)?.parse().ok()
}
