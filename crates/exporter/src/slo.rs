//! Objectives of routes: what share of requests has to be answered, how soon, over which time.
//!
//! A route says so by the annotation `portcullis.dev/slo`, such as `99.9% availability; 99% < 250ms; 30d`.

mod rules;

use std::fmt;
use std::time::Duration;

pub use rules::{Format, write};

/// The annotation.
pub const ANNOTATION: &str = "portcullis.dev/slo";
/// The time over which an objective holds, unless it says another.
const USUAL_WINDOW: Duration = Duration::from_secs(30 * 86_400);
/// Objectives over less than a day say nothing that an alert of an hour does not.
const SHORTEST_WINDOW: Duration = Duration::from_secs(86_400);

/// What a route promises.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// Whose requests.
    pub route: Route,
    /// The objectives, at least one.
    pub objectives: Vec<Objective>,
    /// Over which time.
    pub window: Duration,
}

/// A route of Gateway API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `HTTPRoute` or `GRPCRoute`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// The share of requests for which it holds, in thousandths of a percent: 99900 is 99.9 %.
    pub share: u32,
    /// What has to hold.
    pub goal: Goal,
}

/// What has to hold for a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// It is not answered with a 5xx.
    Availability,
    /// It is answered within this time.
    Latency(Duration),
}

/// Why an annotation cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A part of it is none of the forms.
    #[error(
        "`{0}` is no objective, allowed: such as `99.9% availability`, `99% < 250ms`, and once a time such as `30d`"
    )]
    Part(String),
    /// A share that leaves no budget, or is none.
    #[error("`{0}` is no share, allowed: more than 0% and less than 100%, with at most three decimals")]
    Share(String),
    /// No objective.
    #[error("there is no objective in it, allowed: such as `99.9% availability; 99% < 250ms; 30d`")]
    Nothing,
    /// Something twice.
    #[error("`{0}` comes twice")]
    Twice(String),
    /// A time that no bucket ends at.
    #[error("{time} is where no bucket ends, allowed: {allowed} (the exporter's buckets.seconds)")]
    Bucket {
        /// The time.
        time: String,
        /// Where buckets end.
        allowed: String,
    },
    /// A window that is too short.
    #[error("`{0}` is too short, allowed: 1d or more")]
    Window(String),
}

impl Objective {
    /// The part of requests for which it need not hold, 0.001 for 99.9 %.
    pub fn budget(self) -> f64 {
        f64::from(100_000 - self.share) / 100_000.0
    }

    /// A word for a label: `availability`, or `latency_250ms`.
    pub fn name(self) -> String {
        match self.goal {
            Goal::Availability => "availability".to_owned(),
            Goal::Latency(time) => format!("latency_{}", kit::duration::format(time)),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = f64::from(self.share) / 1000.0;
        match self.goal {
            Goal::Availability => write!(formatter, "{share}% availability"),
            Goal::Latency(time) => write!(formatter, "{share}% < {}", kit::duration::format(time)),
        }
    }
}

/// Reads an annotation. `bounds` are where buckets end, in seconds.
pub fn parse(text: &str, bounds: &[f64]) -> Result<(Vec<Objective>, Duration), Wrong> {
    let (mut objectives, mut window) = (Vec::<Objective>::new(), None);
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        if let Some(time) = days(part) {
            if time < SHORTEST_WINDOW {
                return Err(Wrong::Window(part.to_owned()));
            }
            if window.replace(time).is_some() {
                return Err(Wrong::Twice(part.to_owned()));
            }
            continue;
        }
        let objective = objective(part)?;
        if let Goal::Latency(time) = objective.goal {
            check_bucket(time, bounds)?;
        }
        if objectives.iter().any(|other| other.goal == objective.goal) {
            return Err(Wrong::Twice(part.to_owned()));
        }
        objectives.push(objective);
    }
    if objectives.is_empty() {
        return Err(Wrong::Nothing);
    }
    Ok((objectives, window.unwrap_or(USUAL_WINDOW)))
}

fn objective(part: &str) -> Result<Objective, Wrong> {
    let wrong = || Wrong::Part(part.to_owned());
    let (number, rest) = part.split_once('%').ok_or_else(wrong)?;
    let share = share(number.trim()).ok_or_else(|| Wrong::Share(format!("{number}%")))?;
    let rest = rest.trim();
    let goal = match rest.strip_prefix('<') {
        Some(time) => {
            let time = kit::duration::parse(time.trim()).filter(|time| !time.is_zero());
            Goal::Latency(time.ok_or_else(wrong)?)
        }
        None if rest == "availability" => Goal::Availability,
        None => return Err(wrong()),
    };
    Ok(Objective { share, goal })
}

/// `99.9` as 99900.
fn share(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(());
    digits(whole).and(digits(decimals))?;
    let decimals = format!("{decimals:0<3}");
    let share = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(decimals.parse::<u32>().ok()?)?;
    (decimals.len() == 3 && (1..100_000).contains(&share)).then_some(share)
}

/// `30d`, `4w`, or a duration.
fn days(text: &str) -> Option<Duration> {
    let whole = |unit: char, days: u64| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(days * 86_400);
    let seconds = whole('d', 1).or_else(|| whole('w', 7));
    seconds.map(Duration::from_secs).or_else(|| kit::duration::parse(text))
}

fn check_bucket(time: Duration, bounds: &[f64]) -> Result<(), Wrong> {
    let seconds = time.as_secs_f64();
    if bounds.iter().any(|bound| (bound - seconds).abs() < 1e-9) {
        return Ok(());
    }
    let allowed: Vec<String> = bounds.iter().map(|bound| format!("{bound}s")).collect();
    Err(Wrong::Bucket { time: kit::duration::format(time), allowed: allowed.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [f64; 3] = [0.1, 0.25, 1.0];

    #[test]
    fn an_annotation_is_objectives_and_a_time() {
        let (objectives, window) = parse("99.9% availability; 99% < 250ms; 28d", &BOUNDS).unwrap();
        let latency = Goal::Latency(Duration::from_millis(250));
        assert_eq!(
            objectives,
            [Objective { share: 99_900, goal: Goal::Availability }, Objective { share: 99_000, goal: latency },]
        );
        assert_eq!(window, Duration::from_secs(28 * 86_400));
        assert_eq!(objectives[0].budget(), 0.001);
        assert_eq!(
            objectives.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["99.9% availability", "99% < 250ms"]
        );
        let (objectives, window) = parse("99.95 % availability", &BOUNDS).unwrap();
        assert_eq!((objectives[0].share, window), (99_950, USUAL_WINDOW));
    }

    #[test]
    fn what_is_wrong_says_what_is_allowed() {
        let wrong = |text: &str| parse(text, &BOUNDS).unwrap_err().to_string();
        assert!(wrong("").contains("no objective"));
        assert!(wrong("always").contains("`always` is no objective, allowed: such as"));
        assert!(wrong("100% availability").contains("less than 100%"));
        assert!(wrong("99.9999% availability").contains("at most three decimals"));
        assert!(wrong("99% < 300ms").contains("300ms is where no bucket ends, allowed: 0.1s, 0.25s, 1s"));
        assert!(wrong("99% < 250ms; 90% < 250ms").contains("comes twice"));
        assert!(wrong("99% availability; 5m").contains("1d or more"));
        assert!(wrong("99% availability; 7d; 8d").contains("comes twice"));
        assert!(wrong("99% < soon").contains("is no objective"));
    }
}
