use kit::Config as _;

use super::*;

fn checked(text: &str) -> Result<(), String> {
    let document = kit::config::single("ratelimit.yaml", &format!("rules: {{files: [rules]}}\n{text}")).unwrap();
    let (settings, unknown) = document.read::<Settings>().map_err(|finding| finding.to_string())?;
    assert!(unknown.is_empty(), "{unknown:?}");
    settings.check(&document).map_err(|finding| finding.to_string())
}

#[test]
fn redis_is_given_up_before_the_service_is() {
    // Envoy's own timeout: its default and that of the controller.
    assert!(redis::RedisSettings::default().deadline <= Duration::from_millis(20) / 2);
}

#[test]
fn what_is_wrong_is_said_with_its_field() {
    let redis = |more: &str| format!("store: {{redis: {{server: {{address: 'a:1'}}, {more}}}}}");
    for (text, wanted) in [
        ("store: {memory: {maxKeys: 0}}".to_owned(), "store.memory.maxKeys: is 0, allowed: 1 and more"),
        ("grpc: {maxConnectionAge: 0s}".to_owned(), "grpc.maxConnectionAge: is 0"),
        ("nearLimitRatio: 2".to_owned(), "nearLimitRatio: is 2, allowed: 0 to 1"),
        (redis("deadline: 0s"), "store.redis.deadline: is 0"),
        (redis("breakerFailures: 0"), "store.redis.breakerFailures: is 0"),
        (redis("replicas: 0"), "store.redis.replicas: is 0"),
        (redis("leases: {time: 0s}"), "store.redis.leases.time: is 0"),
        (redis("leases: {share: 1.5}"), "store.redis.leases.share: is 1.5, allowed: more than 0, up to 1"),
        (redis("perSecond: {}"), "store.redis.perSecond: needs exactly one of address, sentinel and cluster"),
    ] {
        let error = checked(&text).unwrap_err();
        assert!(error.contains(&format!(": {wanted}")), "{error}");
    }
    checked(&redis("leases: {}")).unwrap();
    checked("localCache: {maxKeys: 0}").unwrap();
}
