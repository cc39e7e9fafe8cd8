//! Why Envoy answered a request itself. The upstream never saw it, so that statistics of clusters do not show it either.
//!
//! Envoy's word is `response_code_details`: a fixed text, or one with particulars behind it. Our firewall's begins with `waf_`.

use crate::flags;

/// Why; small enough to be a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reason(u8);

/// What an answer of the authorization service means, by its status.
const LOGIN: &str = "login";
const UNAUTHORIZED: &str = "unauthorized";
const DENIED: &str = "denied";
const OVERFLOW: &str = "upstream_overflow";
const OTHER: &str = "other";

/// Beginnings of details, and what they mean; the first that fits decides.
const BY_DETAILS: [(&str, &str); 44] = [
    ("waf_rule", "waf"),
    ("waf_overload", "waf_overload"),
    ("waf_failure", "waf_failure"),
    ("waf_no_profile", "waf_failure"),
    ("waf_", "waf_body"),
    ("request_rate_limited", "rate_limited"),
    ("rate_limiter_error", "rate_limit_error"),
    ("local_rate_limited", "local_rate_limited"),
    ("ext_authz_error", "auth_error"),
    ("ext_proc_error", "processor_error"),
    ("ext_proc", "processor"),
    ("jwt_authn_access_denied", "jwt"),
    ("rbac_access_denied", "rbac"),
    ("no_credential_for_basic_auth", UNAUTHORIZED),
    ("invalid_credential_for_basic_auth", UNAUTHORIZED),
    ("invalid_format_for_basic_auth", UNAUTHORIZED),
    ("invalid_scheme_for_basic_auth", UNAUTHORIZED),
    ("missing_api_key", UNAUTHORIZED),
    ("unknown_api_key", UNAUTHORIZED),
    ("client_not_allowed", DENIED),
    ("oauth", LOGIN),
    ("csrf", "csrf"),
    ("fault_filter_abort", "fault"),
    ("no_healthy_upstream", "no_healthy_upstream"),
    ("cluster_not_found", "no_cluster"),
    ("route_not_found", "no_route"),
    ("filter_chain_not_found", "no_route"),
    ("direct_response", "direct_response"),
    ("maintenance_mode", "maintenance"),
    ("upstream_response_timeout", "upstream_timeout"),
    ("upstream_per_try_timeout", "upstream_timeout"),
    ("response_timeout", "upstream_timeout"),
    ("upstream_max_stream_duration_reached", "max_duration"),
    ("max_duration_timeout", "max_duration"),
    ("upstream_reset_before_response_started", "upstream_reset"),
    ("early_upstream_reset", "upstream_reset"),
    ("request_payload", "too_large"),
    ("request_headers", "bad_request"),
    ("request_header_timeout", "slow_request"),
    ("request_overall_timeout", "slow_request"),
    ("stream_idle_timeout", "idle"),
    ("overload", "overload"),
    ("http1.", "bad_request"),
    ("http2.", "bad_request"),
];

/// Reasons that follow from more than details.
const BY_STATUS: [&str; 5] = [LOGIN, UNAUTHORIZED, DENIED, OVERFLOW, OTHER];

impl Reason {
    /// How many there are.
    pub(crate) const COUNT: usize = BY_DETAILS.len() + BY_STATUS.len();

    /// Why Envoy answered itself; nothing when the upstream did, or nobody.
    pub(crate) fn of(details: &[u8], code: u16, flags: u32) -> Option<Self> {
        // An answer that was cut off on its way came from the upstream too.
        if details == b"via_upstream" || details.starts_with(b"upstream_reset_after_response_started") || code == 0 {
            return None;
        }
        let named = if details.starts_with(b"ext_authz_denied") {
            match code {
                300..=399 => LOGIN,
                401 => UNAUTHORIZED,
                _ => DENIED,
            }
        } else if flags & flags::OVERFLOW != 0 {
            OVERFLOW
        } else if let Some(place) = BY_DETAILS.iter().position(|(text, _)| details.starts_with(text.as_bytes())) {
            return u8::try_from(place).ok().map(Self);
        } else if details.is_empty() && flags & (flags::NO_ROUTE | flags::NO_HEALTHY_UPSTREAM) == 0 {
            return None;
        } else {
            OTHER
        };
        let place = BY_STATUS.iter().position(|reason| *reason == named)?;
        u8::try_from(BY_DETAILS.len() + place).ok().map(Self)
    }

    /// A number of its own, not 0.
    pub(crate) fn number(self) -> u8 {
        self.0 + 1
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        let place = usize::from(self.0);
        match BY_DETAILS.get(place) {
            Some((_, reason)) => reason,
            None => BY_STATUS.get(place - BY_DETAILS.len()).copied().unwrap_or(OTHER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(details: &str, code: u16, flags: u32) -> Option<&'static str> {
        Reason::of(details.as_bytes(), code, flags).map(Reason::name)
    }

    #[test]
    fn details_say_why() {
        assert_eq!(reason("via_upstream", 503, 0), None);
        assert_eq!(reason("request_rate_limited", 429, 1 << 12), Some("rate_limited"));
        assert_eq!(reason("waf_rule", 403, 0), Some("waf"));
        assert_eq!(reason("waf_body_too_long", 413, 0), Some("waf_body"));
        assert_eq!(reason("ext_authz_denied", 302, 1 << 13), Some("login"));
        assert_eq!(reason("ext_authz_denied", 401, 1 << 13), Some("unauthorized"));
        assert_eq!(reason("ext_authz_denied", 403, 1 << 13), Some("denied"));
        assert_eq!(reason("upstream_reset_before_response_started{overflow}", 503, flags::OVERFLOW), Some(OVERFLOW));
        assert_eq!(reason("rbac_access_denied_matched_policy[x]", 403, 0), Some("rbac"));
        assert_eq!(reason("something_new", 500, 0), Some("other"));
        assert_eq!(reason("upstream_reset_after_response_started{x}", 200, 0), None);
        assert_eq!(reason("downstream_remote_disconnect", 0, 1 << 15), None);
        assert_eq!(reason("", 200, 0), None);
    }

    #[test]
    fn no_beginning_hides_a_longer_one_behind_it() {
        for (place, (text, _)) in BY_DETAILS.iter().enumerate() {
            assert_eq!(Reason::of(text.as_bytes(), 500, 0), Some(Reason(u8::try_from(place).unwrap())), "{text}");
        }
    }
}
