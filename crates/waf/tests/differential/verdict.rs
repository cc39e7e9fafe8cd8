//! What is compared.

use serde::Deserialize;
use serde_json::Value;

/// What becomes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Verdict {
    /// The rules that matched and want to be logged, in their order.
    pub(crate) rules: Vec<u64>,
    pub(crate) inbound: i64,
    pub(crate) outbound: i64,
    /// Whether a rule has refused it.
    pub(crate) refused: bool,
}

impl Verdict {
    /// By an entry of the audit log, with the transaction's id.
    pub(crate) fn of_entry(entry: &Value) -> (String, Self) {
        let found = entry["rules"].as_array().into_iter().flatten();
        let verdict = Self {
            rules: found.filter_map(|found| found["rule"].as_u64()).collect(),
            inbound: entry["score"].as_i64().unwrap(),
            outbound: entry["outbound_score"].as_i64().unwrap(),
            refused: entry["verdict"] == "block",
        };
        (entry["id"].as_str().unwrap().to_owned(), verdict)
    }
}
