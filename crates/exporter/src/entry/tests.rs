use envoy::Message as _;
use envoy::accesslog_data::response_flags::Unauthorized;
use envoy::accesslog_data::{AccessLogType, ResponseFlags};
use proptest::prelude::*;

use super::*;
use crate::testing;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_request_is_read_as_envoy_writes_it() {
    let bytes = testing::request().encode_to_vec();
    let request = Request::read(&bytes).unwrap();
    let common = &request.common;
    assert_eq!((text(common.client), common.port), ("192.0.2.1", 10080));
    assert_eq!(common.start, 1_700_000_000.5);
    assert_eq!((common.to_upstream, common.from_upstream), (Some(0.003), Some(0.018)));
    assert_eq!((common.to_client, common.duration), (Some(0.02), Some(0.02)));
    assert_eq!(text(common.route), "httproute/shop/cart/rule/0/match/0");
    assert_eq!((text(common.cluster), text(common.listener)), ("service/shop/cart/8080", "edge/eg/http"));
    assert_eq!((text(common.trace), common.sent, common.received), (testing::TRACE, 500, 120));
    assert_eq!((request.protocol, request.method, request.code), (3, 1, 200));
    assert_eq!((text(request.host), text(request.path), text(request.id)), ("shop.example", "/cart?secret=1", "id-1"));
    assert_eq!((request.request_bytes, request.response_bytes), (7, 300));
    assert_eq!((text(request.details), text(request.user_agent)), ("via_upstream", "test"));
    assert_eq!((common.flags, common.moment), (0, Moment::End));
}

#[test]
fn flags_have_the_bit_of_their_field() {
    let mut entry = testing::request();
    entry.common_properties.as_mut().unwrap().response_flags = Some(ResponseFlags {
        rate_limited: true,
        unauthorized_details: Some(Unauthorized { reason: 1 }),
        dns_resolution_failure: true,
        ..ResponseFlags::default()
    });
    let bytes = entry.encode_to_vec();
    assert_eq!(crate::flags::text(Request::read(&bytes).unwrap().common.flags), "RL,UAEX,DF");
}

#[test]
fn only_the_last_entry_of_a_request_is_its_end() {
    let moment = |kind: AccessLogType| {
        let mut entry = testing::request();
        entry.common_properties.as_mut().unwrap().access_log_type = kind.into();
        Request::read(&entry.encode_to_vec()).unwrap().common.moment
    };
    assert_eq!(moment(AccessLogType::DownstreamEnd), Moment::End);
    assert_eq!(moment(AccessLogType::UpstreamEnd), Moment::Try);
    assert_eq!(moment(AccessLogType::DownstreamStart), Moment::Interim);
    assert_eq!(moment(AccessLogType::DownstreamPeriodic), Moment::Interim);
}

#[test]
fn what_envoy_cannot_say_is_nothing() {
    let mut entry = testing::request();
    let tags = &mut entry.common_properties.as_mut().unwrap().custom_tags;
    tags.values_mut().for_each(|value| "-".clone_into(value));
    let bytes = entry.encode_to_vec();
    let common = Request::read(&bytes).unwrap().common;
    assert!(common.listener.is_empty() && common.trace.is_empty());
    assert_eq!(Request::read(&[]).unwrap().code, 0);
}

#[test]
fn a_connection_is_read() {
    let bytes = testing::connection().encode_to_vec();
    let connection = Connection::read(&bytes).unwrap();
    assert_eq!((connection.received, connection.sent, connection.common.port), (10, 20, 5432));
    assert_eq!(connection.common.duration, Some(2.0));
}

proptest! {
    /// A bit of an entry is another, or it is cut: it is read as something or refused, and nothing panics.
    #[test]
    fn broken_entries_are_read_or_refused(place in 0_usize..600, bit in 0_u8..8, end in 0_usize..600) {
        let mut bytes = testing::request().encode_to_vec();
        let length = bytes.len();
        bytes[place % length] ^= 1 << bit;
        bytes.truncate(end.max(1));
        let _ = Request::read(&bytes);
        let _ = Connection::read(&bytes);
    }
}
