//! The service's own configuration, one YAML file; profiles are files of their own.

use std::time::Duration;

use kit::Common;
use kit::config::{Document, Finding};
use kit::ports::Grpc;
use serde::{Deserialize, Serialize};

use crate::audit;
use crate::profile::Place;
use crate::select::Choice;

/// The configuration of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// The admin port. Default 127.0.0.1:9293.
    pub admin: kit::admin::Settings,
    /// Logs and traces.
    pub telemetry: kit::telemetry::Settings,
    /// The orderly end.
    pub drain: kit::drain::Settings,
    /// Where Envoy asks.
    pub grpc: Grpc<9291>,
    /// Files and directories with profiles, over those that come with the program (baseline, detect, strict). They are
    /// followed.
    pub profiles: Vec<Place>,
    /// Which profile a request gets: the first choice that fits.
    pub select: Vec<Choice>,
    /// The profile of all other requests, unless metadata names one. Default `baseline`.
    pub default_profile: String,
    /// The engine.
    pub engine: Engine,
    /// Whether refused clients are told the numbers of the rules. Default true.
    pub name_rules: bool,
    /// The audit log; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<audit::Settings>,
}

/// The engine and its bounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Engine {
    /// How many requests are judged at a time, and the processors that their rules may keep busy; half as many large requests are
    /// judged beside them, on the same processors. Default: one a processor.
    pub threads: Option<u16>,
    /// How many may wait for that before others are refused with 503. Default 1024.
    pub max_waiting: usize,
    /// How long a step of a request may take, waiting included; it should be shorter than Envoy's `messageTimeout`. Default 1s.
    #[serde(with = "kit::duration")]
    pub deadline: Duration,
    /// Memory that the engine, which is Go's, shall not exceed, in bytes; its collector works harder near it. Default: no bound.
    pub memory_limit: u64,
    /// How much the engine's memory may grow between collections, in percent. Default 100.
    pub memory_growth: u16,
    /// Whether rules that cannot match a request are left out, which changes no verdict. Default true.
    pub gate: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin: kit::admin::Settings::default(),
            telemetry: kit::telemetry::Settings::default(),
            drain: kit::drain::Settings::default(),
            grpc: Grpc::default(),
            profiles: Vec::new(),
            select: Vec::new(),
            default_profile: "baseline".to_owned(),
            engine: Engine::default(),
            name_rules: true,
            audit: None,
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            threads: None,
            max_waiting: 1024,
            deadline: Duration::from_secs(1),
            memory_limit: 0,
            memory_growth: 100,
            gate: true,
        }
    }
}

impl kit::Config for Settings {
    fn common(&self) -> Common {
        Common { admin: self.admin.clone(), telemetry: self.telemetry.clone(), drain: self.drain }
    }

    fn default_admin() -> &'static str {
        "127.0.0.1:9293"
    }

    fn check(&self, document: &Document) -> Result<(), Finding> {
        self.grpc.check(document)?;
        if self.engine.threads == Some(0) {
            return Err(document.finding("engine.threads", "is 0, allowed: 1 and more"));
        }
        if self.engine.deadline.is_zero() {
            return Err(document.finding("engine.deadline", "is 0, allowed: more than that"));
        }
        if let Some(index) = self.select.iter().position(|choice| choice.profile.is_empty()) {
            return Err(document.finding(&format!("select[{index}].profile"), "is missing"));
        }
        if self.audit.as_ref().is_some_and(|audit| audit.file.is_some() && audit.otlp.is_some()) {
            return Err(document.finding("audit.otlp", "stands beside audit.file, allowed: one of both"));
        }
        Ok(())
    }
}
