//! TLS settings towards back ends.

use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// Envoy's own default.
    Auto,
    /// TLS 1.0
    #[serde(rename = "1.0")]
    V1_0,
    /// TLS 1.1
    #[serde(rename = "1.1")]
    V1_1,
    /// TLS 1.2
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3
    #[serde(rename = "1.3")]
    V1_3,
}

/// Cipher suites of TLS 1.3 cannot be chosen.
pub(crate) fn ciphers_need_tls_1_2() -> Rule {
    Rule::new("!(has(self.minVersion) && self.minVersion == '1.3' && has(self.ciphers))")
        .message("`ciphers` are for TLS up to 1.2 and `minVersion` is 1.3: leave one of the two out")
}

/// The versions are a range. The least is 1.2 unless set.
pub(crate) fn versions_are_a_range() -> Rule {
    const LEAST: &str = "{'Auto': 0, '1.0': 1, '1.1': 2, '1.2': 3, '1.3': 4}";
    const GREATEST: &str = "{'1.0': 1, '1.1': 2, '1.2': 3, '1.3': 4, 'Auto': 5}";
    Rule::new(format!(
        "!has(self.maxVersion) || (has(self.minVersion) ? {LEAST}[self.minVersion] : 3) <= {GREATEST}[self.maxVersion]"
    ))
    .message("`minVersion` (1.2 unless set) must not be later than `maxVersion`")
}
