//! Response flags: what Envoy says of a request beside its status.

/// Their names, as `%RESPONSE_FLAGS%` writes them, by the number of the field in `ResponseFlags`.
const NAMES: [&str; 29] = [
    "", "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI",
    "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DR",
];

/// No healthy upstream.
pub(crate) const NO_HEALTHY_UPSTREAM: u32 = 1 << 2;
/// No route.
pub(crate) const NO_ROUTE: u32 = 1 << 9;
/// Too many requests or connections to the upstream.
pub(crate) const OVERFLOW: u32 = 1 << 8;

/// The names of the flags that are set, joined by commas; empty when there are none.
pub(crate) fn text(flags: u32) -> String {
    let set = NAMES.iter().enumerate().skip(1).filter(|(bit, _)| flags & (1 << bit) != 0);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_envoys_names() {
        assert_eq!(text(0), "");
        assert_eq!(text(NO_HEALTHY_UPSTREAM), "UH");
        assert_eq!(text(NO_ROUTE | OVERFLOW), "UO,NR");
        assert_eq!(text(1 << 12 | 1 << 28), "RL,DR");
        // Flags of a newer Envoy have no name here.
        assert_eq!(text(1 << 29), "");
    }
}
