//! Which features a run claims: what the controller says of its class, as far as profile and channel have it.

use clap::ValueEnum;
use testbed::cluster::Channel;

/// The profiles that a gateway can conform to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Profile {
    #[value(name = "GATEWAY-HTTP", alias = "HTTP")]
    Http,
    #[value(name = "GATEWAY-GRPC", alias = "GRPC")]
    Grpc,
    #[value(name = "GATEWAY-TLS", alias = "TLS")]
    Tls,
    #[value(name = "GATEWAY-TCP", alias = "TCP")]
    Tcp,
    #[value(name = "GATEWAY-UDP", alias = "UDP")]
    Udp,
}

/// The features whose fields only the experimental channel's resource definitions have. The suite calls more of them
/// experimental, but those are behaviours that either channel's definitions can ask for: they are claimed in both.
const EXPERIMENTAL: [&str; 3] = ["HTTPRouteRetry", "HTTPRouteRetryBackendTimeout", "HTTPRouteRetryConnectionError"];

/// Whether a channel's resource definitions have what a feature needs.
pub(super) fn is_there(feature: &str, channel: Channel) -> bool {
    channel == Channel::Experimental || !EXPERIMENTAL.contains(&feature)
}

impl Profile {
    /// What the names of its own features begin with. Those of other kinds are of all profiles.
    fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["HTTPRoute", "BackendTLSPolicy", "GatewayBackendClientCertificate"],
            Self::Grpc => &["GRPCRoute"],
            Self::Tls => &["TLSRoute"],
            Self::Tcp => &["TCPRoute"],
            Self::Udp => &["UDPRoute"],
        }
    }
}

/// Whether a feature is of one of these profiles.
pub(super) fn concerns(feature: &str, profiles: &[Profile]) -> bool {
    let of = |profile: &Profile| profile.kinds().iter().any(|kind| feature.starts_with(kind));
    let others = Profile::value_variants().iter().any(of);
    profiles.iter().any(of) || !others && !feature.starts_with("Mesh")
}

/// What a run claims.
pub(super) fn claims(features: &[String], profiles: &[Profile], channel: Channel) -> Vec<String> {
    let fits = |feature: &&String| is_there(feature, channel) && concerns(feature, profiles);
    features.iter().filter(fits).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(profiles: &[Profile], channel: Channel) -> String {
        let all = ["Gateway", "HTTPRoute", "HTTPRouteRetry", "ListenerSet", "MeshConsumerRoute", "TCPRoute"];
        claims(&all.map(str::to_owned), profiles, channel).join(" ")
    }

    #[test]
    fn a_profile_claims_what_is_its_own_and_what_is_of_all() {
        assert_eq!(claimed(&[Profile::Tcp], Channel::Standard), "Gateway ListenerSet TCPRoute");
        assert_eq!(claimed(&[Profile::Http], Channel::Standard), "Gateway HTTPRoute ListenerSet");
        let both = claimed(&[Profile::Http, Profile::Tcp], Channel::Experimental);
        assert_eq!(both, "Gateway HTTPRoute HTTPRouteRetry ListenerSet TCPRoute");
    }
}
