//! What a policy says of counting by annotations: the resource has no fields for it.

use api::{Stored, ext::BackendTrafficPolicy};
use ir::features::{Counting, CountingAlgorithm};

use crate::problem::Problem;

/// What all of them begin with.
const PREFIX: &str = "portcullis.dev/rate-limit-";

/// The annotations of a policy. One that nobody knows is as wrong as a value that nobody knows: it was meant to do something.
pub(super) fn counting(policy: &BackendTrafficPolicy) -> Result<Counting, Problem> {
    let (mut algorithm, mut burst, mut hash_values) = (None, None, false);
    for (name, value) in policy.meta().annotations.iter().flatten() {
        let Some(what) = name.strip_prefix(PREFIX) else { continue };
        let wrong = |allowed: &str| Err(invalid(format!("the annotation {name} is {value:?}, allowed: {allowed}")));
        match what {
            "algorithm" => match value.as_str() {
                "fixed_window" => algorithm = Some(CountingAlgorithm::FixedWindow),
                "sliding_window" => algorithm = Some(CountingAlgorithm::SlidingWindow),
                "token_bucket" => algorithm = Some(CountingAlgorithm::TokenBucket(None)),
                _ => return wrong("fixed_window, sliding_window, token_bucket"),
            },
            "burst" => match value.parse::<u32>() {
                Ok(size) if size > 0 => burst = Some(size),
                _ => return wrong("a whole number from 1 on"),
            },
            "hash-values" => match value.as_str() {
                "true" => hash_values = true,
                "false" => {}
                _ => return wrong("true, false"),
            },
            _ => {
                let message =
                    format!("the annotation {name} is unknown, allowed: {PREFIX}algorithm, -burst, -hash-values");
                return Err(invalid(message));
            }
        }
    }
    let algorithm = match (algorithm.unwrap_or_default(), burst) {
        (CountingAlgorithm::TokenBucket(_), burst) => CountingAlgorithm::TokenBucket(burst),
        (algorithm, None) => algorithm,
        (_, Some(_)) => {
            return Err(invalid(format!("the annotation {PREFIX}burst needs {PREFIX}algorithm: token_bucket")));
        }
    };
    Ok(Counting { algorithm, hash_values })
}

fn invalid(message: String) -> Problem {
    Problem::new("Invalid", message)
}
