//! Small values in Envoy's form.

use std::time::Duration;

use envoy::{
    core,
    core::{
        HeaderValue, HeaderValueOption, config_source::ConfigSourceSpecifier, header_value_option::HeaderAppendAction,
    },
    matcher::{RegexMatchAndSubstitute, RegexMatcher, StringMatcher, string_matcher::MatchPattern},
    types::{FractionalPercent, fractional_percent::DenominatorType},
};
use ir::route::{HeaderMutation, ValueMatch};

/// From the management server, by the one stream that delivers everything (ADS): the order of updates is in its hands.
pub(crate) fn ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(core::AggregatedConfigSource::default())),
        ..Default::default()
    }
}

/// A whole number of seconds.
pub(crate) fn seconds(seconds: u64) -> Option<envoy::Duration> {
    Some(envoy::duration(Duration::from_secs(seconds)))
}

/// An RE2 expression.
pub(crate) fn regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}

/// What matches an RE2 expression is replaced.
pub(crate) fn substitute(pattern: &str, substitution: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute { pattern: Some(regex(pattern)), substitution: substitution.to_owned() }
}

/// A match of a value.
pub(crate) fn string_match(value: &ValueMatch) -> StringMatcher {
    match value {
        ValueMatch::Exact(text) => exact(text),
        ValueMatch::Regex(expression) => pattern(MatchPattern::SafeRegex(regex(expression))),
    }
}

/// A match of exactly this text.
pub(crate) fn exact(text: &str) -> StringMatcher {
    pattern(MatchPattern::Exact(text.to_owned()))
}

/// A match by a pattern, case counts.
pub(crate) fn pattern(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

/// Text as it is in an RE2 expression.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation() && !"/_-~,:;=@&%'\"`<>!# ".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

/// Text as it is in the substitution of an RE2 expression, where a backslash names a group.
pub(crate) fn quote_substitution(text: &str) -> String {
    text.replace('\\', "\\\\")
}

/// Text as it is in a value in which Envoy expands `%COMMANDS%`.
pub(crate) fn quote_format(text: &str) -> String {
    text.replace('%', "%%")
}

/// Headers that are set and added; those that are removed are a list of their own in Envoy.
pub(crate) fn header_options(mutation: &HeaderMutation) -> Vec<HeaderValueOption> {
    let set = mutation.set.iter().map(|header| (header, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = mutation.add.iter().map(|header| (header, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).map(|((name, value), action)| header_option(name, value, action)).collect()
}

fn header_option(name: &str, value: &str, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        // The Gateway API knows no variables in values: a client of the API must not read what is in Envoy by them.
        header: Some(HeaderValue { key: name.to_owned(), value: quote_format(value), ..Default::default() }),
        append_action: action.into(),
        // An empty value is a value.
        keep_empty_value: value.is_empty(),
        ..Default::default()
    }
}

/// A share of a million.
pub(crate) fn millionths(numerator: u32) -> core::RuntimeFractionalPercent {
    let value = FractionalPercent { numerator, denominator: DenominatorType::Million.into() };
    core::RuntimeFractionalPercent { default_value: Some(value), ..Default::default() }
}

/// Fixed bytes.
pub(crate) fn inline_bytes(bytes: &[u8]) -> core::DataSource {
    use core::data_source::Specifier;
    // Text where it is text: configuration dumps stay readable.
    let specifier = match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Specifier::InlineString(text.to_owned()),
        _ => Specifier::InlineBytes(bytes.to_vec()),
    };
    core::DataSource { specifier: Some(specifier), ..Default::default() }
}

/// A socket address.
pub(crate) fn address_of(address: core::SocketAddress) -> core::Address {
    core::Address { address: Some(core::address::Address::SocketAddress(address)) }
}

/// A Unix socket.
pub(crate) fn pipe(path: &str) -> core::Address {
    core::Address { address: Some(core::address::Address::Pipe(core::Pipe { path: path.to_owned(), mode: 0 })) }
}

/// A gRPC service behind a cluster. Without an authority it is the cluster's name as a host: Envoy would send the name as it
/// is, and servers refuse an `:authority` with a slash.
pub(crate) fn grpc_service(cluster: &str, authority: &str, timeout: Option<Duration>) -> core::GrpcService {
    use core::grpc_service::{EnvoyGrpc, TargetSpecifier};
    let authority = if authority.is_empty() { cluster.replace('/', ".") } else { authority.to_owned() };
    let target = EnvoyGrpc { cluster_name: cluster.to_owned(), authority, ..Default::default() };
    core::GrpcService {
        timeout: timeout.map(envoy::duration),
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(target)),
        ..Default::default()
    }
}

/// HTTP/2 with the windows that Envoy's guide for edge proxies has: a stream may have 64 KiB under way and a connection 1 MiB,
/// so that slow readers cannot fill the memory.
pub(crate) fn http2_windows() -> core::Http2ProtocolOptions {
    core::Http2ProtocolOptions {
        initial_stream_window_size: Some(64 << 10),
        initial_connection_window_size: Some(1 << 20),
        ..Default::default()
    }
}
