//! The forms of names and other texts, each with words for people.

use crate::ext::{
    backend::{ADDRESS_PATTERN, FQDN_PATTERN},
    common::{GROUP_PATTERN, HEADER_NAME_PATTERN, HOSTNAME_PATTERN, KIND_PATTERN, NAMESPACE_PATTERN},
    duration,
};

/// A form of text.
pub(super) struct Format {
    /// The least number of characters.
    pub(super) least: usize,
    /// The greatest number of characters.
    pub(super) most: usize,
    /// What it looks like.
    pub(super) pattern: &'static str,
    /// Completes "this is not …".
    pub(super) words: &'static str,
}

const fn format(least: usize, most: usize, pattern: &'static str, words: &'static str) -> Format {
    Format { least, most, pattern, words }
}

pub(super) const GROUP: Format =
    format(0, 253, GROUP_PATTERN, "an API group: a DNS name in lower case, or empty for the core group");
pub(super) const KIND: Format = format(1, 63, KIND_PATTERN, "a kind: letters, digits and '-'");
pub(super) const LABEL: Format =
    format(1, 63, NAMESPACE_PATTERN, "a DNS label: lower-case letters, digits and '-', at most 63");
pub(super) const DNS_NAME: Format =
    format(1, 253, HOSTNAME_PATTERN, "a DNS name: lower-case letters, digits, '-' and '.', such as www.example.com");
pub(super) const HOSTNAME: Format = format(
    1,
    253,
    r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    "a host: a DNS name in lower case such as www.example.com, or with a first label of '*' such as *.example.com",
);
pub(super) const HEADER_NAME: Format =
    format(1, 256, HEADER_NAME_PATTERN, "the name of a header: letters, digits and any of !#$%&'*+-.^_`|~");
pub(super) const HEADER_VALUE: Format = format(
    1,
    4096,
    r"^[!-~]+([\t ]?[!-~]+)*$",
    "the value of a header: ASCII, with single spaces between words and none at the ends",
);
pub(super) const DURATION: Format =
    format(0, usize::MAX, duration::PATTERN, "a duration: up to four parts of digits and h, m, s or ms, such as 1h30m");
pub(super) const URL_PATH: Format = format(
    0,
    1024,
    r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$",
    "the path of a URL: encode other characters as '%' and two hexadecimal digits",
);
pub(super) const ORIGIN: Format = format(
    1,
    253,
    r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)",
    "an origin: a scheme and a host, such as https://www.example.com:8443 or https://*.example.com, or '*'",
);
pub(super) const PROTOCOL: Format = format(
    1,
    255,
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$",
    "a protocol: HTTP, HTTPS, TLS, TCP, UDP, or a domain and a name",
);
pub(super) const ADDRESS_TYPE: Format = format(
    1,
    253,
    r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$",
    "a type of address: IPAddress, Hostname, NamedAddress, or a domain and a path",
);
pub(super) const DOMAIN_PATH: Format = format(
    1,
    253,
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$",
    "a domain and a path, such as example.com/name",
);
pub(super) const WELL_KNOWN: Format = format(
    1,
    253,
    r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$",
    "a set of authorities: System, or a domain and a name",
);
pub(super) const ADDRESS: Format = format(3, 45, ADDRESS_PATTERN, "an IPv4 or IPv6 address");
pub(super) const FQDN: Format =
    format(1, 253, FQDN_PATTERN, "a DNS name: lower-case letters, digits, '-' and '.', such as backend.example.com");
pub(super) const URI: Format = format(
    1,
    253,
    r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?",
    "a URI, such as spiffe://example.com/name",
);
pub(super) const LABEL_VALUE: Format = format(
    0,
    63,
    r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    "the value of a label: letters, digits, '-', '_' and '.', with a letter or digit at both ends",
);
pub(super) const LABEL_KEY: Format = format(
    1,
    317,
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$",
    "the key of a label: at most 63 letters, digits, '-', '_' and '.', after a domain and '/' if you like",
);

/// All forms.
pub(super) const ALL: [&Format; 19] = [
    &GROUP,
    &KIND,
    &LABEL,
    &DNS_NAME,
    &HOSTNAME,
    &HEADER_NAME,
    &HEADER_VALUE,
    &DURATION,
    &URL_PATH,
    &ORIGIN,
    &PROTOCOL,
    &ADDRESS_TYPE,
    &DOMAIN_PATH,
    &WELL_KNOWN,
    &URI,
    &LABEL_VALUE,
    &LABEL_KEY,
    &ADDRESS,
    &FQDN,
];

/// Words for a pattern; itself if it's none of ours.
pub(super) fn words(pattern: &str) -> String {
    let known = ALL.iter().find(|format| format.pattern == pattern);
    known.map_or_else(|| format!("of the form {pattern}"), |format| format.words.to_owned())
}
