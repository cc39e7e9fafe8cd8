//! Log levels: one for all and others for single components (`info,xds=debug`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// Crates below us that speak about every frame and poll at debug and trace: they stay at info unless they are named.
const QUIET: &[&str] = &[
    "h2",
    "hyper",
    "hyper_util",
    "kube_client",
    "kube_runtime",
    "mio",
    "notify",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
];

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What needs somebody to act.
    Error,
    /// What may need somebody to act.
    Warn,
    /// What changed.
    #[default]
    Info,
    /// What was decided, and why.
    Debug,
    /// Every step.
    Trace,
}

/// The default level and those of single components. A component is a crate or module path (`xds`, `controller::source`);
/// `-` in its name counts as `_`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// The level of everything that is not named.
    pub default: Level,
    /// Levels by component.
    pub components: BTreeMap<String, Level>,
}

/// A text that does not give levels.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "`{0}` is not a log level, allowed: off, error, warn, info, debug, trace, and component=level, separated by commas"
)]
pub struct BadLevels(String);

impl FromStr for Level {
    type Err = BadLevels;

    fn from_str(text: &str) -> Result<Self, BadLevels> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "off" => Self::Off,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return Err(BadLevels(text.to_owned())),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl Levels {
    pub(super) fn filter(&self) -> Targets {
        let quiet = self.default.filter().min(LevelFilter::INFO);
        Targets::new()
            .with_default(self.default.filter())
            .with_targets(QUIET.iter().map(|name| (*name, quiet)))
            .with_targets(self.components.iter().map(|(name, level)| (name.as_str(), level.filter())))
    }
}

impl FromStr for Levels {
    type Err = BadLevels;

    fn from_str(text: &str) -> Result<Self, BadLevels> {
        let mut levels = Self::default();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                Some((name, level)) if !name.is_empty() => {
                    levels.components.insert(name.replace('-', "_"), level.parse()?);
                }
                Some(_) => return Err(BadLevels(part.to_owned())),
                None => levels.default = part.parse()?,
            }
        }
        Ok(levels)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.default.fmt(formatter)?;
        self.components.iter().try_for_each(|(name, level)| write!(formatter, ",{name}={level}"))
    }
}

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_written() {
        assert_eq!("xds-server=debug, warn".parse::<Levels>().unwrap().to_string(), "warn,xds_server=debug");
        assert_eq!("INFO".parse::<Levels>().unwrap(), Levels::default());
        for bad in ["", "loud", "xds=", "=debug", "xds=loud", "info,"] {
            assert!(bad.parse::<Levels>().is_err(), "{bad}");
        }
    }
}
