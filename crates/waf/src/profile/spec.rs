//! Profiles as they are written: YAML, one a document.

use serde::{Deserialize, Serialize};

/// A profile. What is left out is as in the profile that it extends, or as [`super::Plan::default`] says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Spec {
    /// Its name, by which routes get it.
    pub name: String,
    /// The profile that this one tightens; that one's guardrails say what may be loosened.
    pub extends: Option<String>,
    /// What the firewall does about what it finds.
    pub mode: Option<Mode>,
    /// The OWASP Core Rule Set.
    pub core_rules: CoreRules,
    /// Request bodies.
    pub request_body: Body,
    /// Responses.
    pub response: Responses,
    /// What rules shall not look at.
    pub exclusions: Vec<Exclusion>,
    /// SecLang directives before the Core Rule Set.
    pub before: String,
    /// SecLang directives after it.
    pub directives: String,
    /// Files with SecLang directives, beside this one; loaded after `directives`.
    pub files: Vec<String>,
    /// What happens to a request that cannot be judged.
    pub on_failure: Option<OnFailure>,
    /// A profile that looks on beside this one; what it would have done is counted and logged.
    pub shadow: Option<String>,
    /// What profiles that extend this one may do.
    pub guardrails: Option<Guardrails>,
}

/// What the firewall does about what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Nothing is looked at.
    Off,
    /// It is logged.
    Detect,
    /// The request is refused.
    Block,
}

impl<'de> Deserialize<'de> for Mode {
    /// To YAML, `off` is a truth value.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Mode;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("off, detect or block")
            }

            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Mode, E> {
                Ok(if on { Mode::Block } else { Mode::Off })
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Mode, E> {
                match text {
                    "off" => Ok(Mode::Off),
                    "detect" => Ok(Mode::Detect),
                    "block" | "on" => Ok(Mode::Block),
                    other => Err(E::custom(format!("unknown value `{other}`, allowed: off, detect, block"))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The OWASP Core Rule Set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CoreRules {
    /// The version, `none` to do without, `files` for one that `directives` include. Default: the newest inside.
    pub version: Option<String>,
    /// Paranoia level of the rules that count for blocking, 1 to 4. Default 1.
    pub paranoia: Option<u8>,
    /// Paranoia level up to which rules are run and logged, at least `paranoia`. Default: the same.
    pub detect_paranoia: Option<u8>,
    /// From which anomaly score on a request is refused. Default 5: one critical match.
    pub inbound_threshold: Option<u32>,
    /// From which anomaly score on a response is withheld. Default 4.
    pub outbound_threshold: Option<u32>,
}

/// Which bodies are looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Body {
    /// Whether they are. Default: those of requests are, those of responses are not.
    pub inspect: Option<bool>,
    /// How much of one, in bytes, after decompression. Default 131072.
    pub limit: Option<u64>,
    /// What happens to a longer one. Default: `reject` for requests, `partial` for responses.
    pub over_limit: Option<OverLimit>,
    /// The content types that are looked at; `+json` stands for all that end so, `*/*` for all.
    pub content_types: Option<Vec<String>>,
    /// Whether bodies are passed on while they are read, so that only the end of one can be withheld. Default false, but
    /// profiles that only detect never hold anything.
    pub stream: Option<bool>,
}

/// Responses.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Responses {
    /// Whether rules see response headers. Default false.
    pub inspect: Option<bool>,
    /// Their bodies.
    pub body: Body,
}

/// What happens to a body that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverLimit {
    /// It is not looked at.
    Pass,
    /// What is within the limit is looked at. JSON and XML cannot be read in part, and are refused.
    Partial,
    /// It is refused: 413.
    Reject,
}

impl OverLimit {
    /// The same for a body of which a part tells nothing.
    pub fn unless_in_part(self) -> Self {
        if self == Self::Partial { Self::Reject } else { self }
    }
}

/// What happens to a request that cannot be judged: the engine failed, or took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// It goes through.
    Open,
    /// It is refused.
    Closed,
}

/// Something that rules shall not look at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Exclusion {
    /// Rules by number or range: `942100`, `942000-942999`.
    pub rules: Vec<RuleRange>,
    /// Rules by tag: `attack-sqli`.
    pub tags: Vec<String>,
    /// The parameters that they shall not look at, as rules write them: `ARGS:comment`. The rules are off when empty.
    pub parameters: Vec<String>,
    /// Only for paths that begin so. Everywhere when empty.
    pub path: String,
    /// Why, for those who come after.
    pub reason: String,
}

/// Rules from one number to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRange {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl RuleRange {
    /// Whether all of `other` is in it.
    pub fn covers(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl std::fmt::Display for RuleRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(formatter, "{}", self.first)
        } else {
            write!(formatter, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for RuleRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RuleRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = RuleRange;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a rule's number, or a range as 942000-942999")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<RuleRange, E> {
                let number = u32::try_from(number).map_err(E::custom)?;
                Ok(RuleRange { first: number, last: number })
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<RuleRange, E> {
                self.visit_u64(u64::try_from(number).map_err(E::custom)?)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RuleRange, E> {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                match (first.trim().parse(), last.trim().parse()) {
                    (Ok(first), Ok(last)) if first <= last => Ok(RuleRange { first, last }),
                    _ => Err(E::custom(format!("`{text}` is no rule, allowed: a number, or a range as 942000-942999"))),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What profiles that extend one may do beyond tightening it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Guardrails {
    /// Modes that they may choose although they are weaker.
    pub modes: Vec<Mode>,
    /// Rules of which they may exclude parameters.
    pub exclude_parameters: Vec<RuleRange>,
    /// Rules that they may put off, and ones they may exclude by path alone.
    pub exclude_rules: Vec<RuleRange>,
    /// The numbers of rules of their own; none are allowed unless set.
    pub own_rules: Option<RuleRange>,
    /// The largest body limit that they may set. Default: the profile's own.
    pub max_body_limit: Option<u64>,
}
