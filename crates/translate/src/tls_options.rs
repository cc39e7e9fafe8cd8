//! TLS options beyond the fields of the specification.
//!
//! Names of options have a domain, which tells whose they are; none are ours. Names without one are the Gateway API's,
//! which has none so far.

use std::collections::BTreeMap;

use crate::problem::Problem;

/// What is to be said of options: those of others have no effect here.
///
/// # Errors
/// A name has no domain, so that nobody can know what is asked for.
pub(crate) fn judge(options: Option<&BTreeMap<String, String>>, field: &str) -> Result<Option<String>, Problem> {
    let names = || options.into_iter().flat_map(BTreeMap::keys);
    let reserved: Vec<&str> = names().filter(|name| !name.contains('/')).map(String::as_str).collect();
    if !reserved.is_empty() {
        let message = format!("{field}: the Gateway API has no option {}; remove it", reserved.join(", "));
        return Err(Problem::new("UnsupportedValue", message));
    }
    let foreign: Vec<&str> = names().map(String::as_str).collect();
    Ok((!foreign.is_empty()).then(|| format!("{field}: {} has no effect here", foreign.join(", "))))
}
