//! Durations as resources write them (GEP-2257).

use std::time::Duration;

use crate::problem::Problem;

/// Reads a duration; the problem names the field.
pub(crate) fn duration(field: &str, text: &str) -> Result<Duration, Problem> {
    api::ext::duration::parse(text).map_err(|error| Problem::new("UnsupportedValue", format!("{field}: {error}")))
}
