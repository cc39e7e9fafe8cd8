//! Who is blamed, for how long, and what comes of it for others.

use std::time::Duration;

use super::play::Play;

/// Envoy's words where they name nobody.
const NO: &str = "no";

fn gateway(name: &str, generation: i64, more: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}, generation: {generation}}}, spec: \
         {{gatewayClassName: eg, {more} listeners: [{{name: http, port: 80, protocol: HTTP}}]}}}}"
    )
}

fn two_ports(generation: i64) -> String {
    let text = gateway("gw", generation, "");
    text.replace("protocol: HTTP}", "protocol: HTTP}, {name: other, port: 81, protocol: HTTP}")
}

/// A route of `gw` to a Service `s`; `uid` tells objects of one name apart.
fn route_of(name: &str, uid: &str, generation: i64, path: &str, more: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}, uid: '{uid}', generation: \
         {generation}}}, spec: {{parentRefs: [{{name: gw}}, {{name: other}}], hostnames: [{name}.org], rules: [{{matches: [{{path: \
         {{value: /{path}}}}}], backendRefs: [{{name: s, port: 80}}]{more}}}]}}}}"
    )
}

fn route(name: &str, generation: i64, path: &str) -> String {
    route_of(name, "1", generation, path, "")
}

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{port: 80}]}}";

const USES_PROXY: &str =
    "infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy}},";

fn proxy(generation: i64, cipher: &str) -> String {
    format!(
        "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {{name: proxy, generation: {generation}}}, \
         spec: {{backendTLS: {{ciphers: [{cipher}]}}}}}}"
    )
}

const TLS: &str = "{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p, generation: 1}, spec: \
     {targetRefs: [{group: '', kind: Service, name: s}], validation: {hostname: s, wellKnownCACertificates: System}}}";

fn filter(generation: i64, substitution: &str) -> String {
    format!(
        "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: HTTPRouteFilter, metadata: {{name: f, generation: {generation}}}, \
         spec: {{urlRewrite: {{path: {{type: ReplaceRegexMatch, replaceRegexMatch: {{pattern: /a, substitution: {substitution}}}}}}}}}}}"
    )
}

const FILTERED: &str =
    ", filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: f}}]";

fn policy(generation: i64, header: &str) -> String {
    format!(
        "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: SecurityPolicy, metadata: {{name: p, generation: {generation}}}, spec: \
         {{targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: gw}}], extAuth: {{headersToExtAuth: [{header}], grpc: \
         {{backendRefs: [{{name: s, port: 80}}]}}}}}}}}"
    )
}

/// Envoys that dislike a text wherever it stands.
fn disliking(text: &'static str, words: &'static str) -> Play {
    let mut play = Play::new(move |_, _, held| held.contains(text).then_some(words));
    play.kept = vec!["good.org"];
    play
}

#[test]
fn ciphers_of_one_gateway_are_forgiven_when_mended_and_harm_no_other() {
    // Whether they are there from the beginning, or come later.
    for begins_bad in [true, false] {
        let mut play = disliking("no-such", NO);
        let first = if begins_bad { "no-such" } else { "fine" };
        play.write(&[
            &gateway("gw", 1, USES_PROXY),
            &gateway("other", 1, ""),
            SERVICE,
            TLS,
            &route("r", 1, ""),
            &proxy(1, first),
        ]);
        play.write(&[&proxy(2, "no-such")]);
        assert!(play.left_out().iter().all(|out| out.starts_with("default/gw: ")), "{:?}", play.left_out());
        assert_eq!(play.left_out().is_empty(), !begins_bad, "what did not change is not left out");
        assert_eq!(play.nacks.refused().contains_key("default/gw"), !begins_bad);
        play.write(&[&proxy(3, "fine")]);
        if begins_bad {
            play.wait();
        }
        assert_eq!(play.left_out(), Vec::<String>::new());
        assert!(play.nacks.refused().is_empty() && play.nacks.due().is_none());
    }
}

#[test]
fn a_filter_is_out_alone_until_it_is_changed() {
    let mut play = disliking("bad-rewrite", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, "")]);
    play.write(&[&filter(1, "bad-rewrite"), &route_of("r", "1", 1, "", FILTERED), &route("beside", 1, "")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRouteFilter default/f"]);
    assert!(play.has("default/gw", "beside.org") && play.has("default/gw", "r.org"));
    play.write(&[&filter(2, "fine")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
    assert!(play.has("default/gw", "fine"));
}

#[test]
fn a_route_that_was_blamed_for_its_filter_has_another_chance_when_that_is_mended() {
    // The words quote what only the route has.
    let mut play = disliking("bad-rewrite", "no: 'r.org'");
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &filter(1, "fine")]);
    play.write(&[&filter(2, "bad-rewrite"), &route_of("r", "1", 1, "", FILTERED)]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"]);
    play.write(&[&filter(3, "fine")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"], "not at once");
    play.wait();
    assert_eq!(play.left_out(), Vec::<String>::new());
    assert!(play.has("default/gw", "r.org"));
}

#[test]
fn chances_in_vain_come_ever_more_seldom() {
    let mut play = disliking("bad-rewrite", "no: 'r.org'");
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &filter(1, "bad-rewrite0")]);
    play.write(&[&route_of("r", "1", 1, "", FILTERED)]);
    play.refusals();
    // Half an hour with a change each second.
    for second in 1..1800 {
        play.now += Duration::from_secs(1);
        let good = route("good", second, &format!("p{second}"));
        play.write(&[&filter(second + 1, &format!("bad-rewrite{second}")), &good]);
        assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"]);
        assert!(play.has("default/gw", &format!("p{second}")), "what is good goes on");
    }
    let refusals = play.refusals();
    assert!((20..40).contains(&refusals), "{refusals}");
}

#[test]
fn a_lone_suspect_is_innocent_unless_it_helps_to_leave_it_out() {
    // The policy's filter is in both listeners; one of them is refused for something else.
    let mut play = Play::new(|_, name, _| name.ends_with("81").then_some(NO));
    play.kept = vec!["good.org"];
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &policy(1, "x-a")]);
    play.write(&[&two_ports(2)]);
    assert_eq!(play.left_out(), Vec::<String>::new(), "it was there before");
    assert_eq!(play.nacks.refused()["default/gw"], "Envoy refused it: no");
    // Nor is it where it changes in the same moment.
    let mut play = Play::new(|_, name, _| name.ends_with("81").then_some(NO));
    play.write(&[&two_ports(1), SERVICE, &route("good", 1, ""), &policy(1, "x-a")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
    assert!(play.nacks.refused().contains_key("default/gw"));
    // But it is blamed for what it does.
    let mut play = disliking("x-bad", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &policy(1, "x-a")]);
    play.write(&[&policy(2, "x-bad")]);
    assert_eq!(play.left_out(), ["default/gw: SecurityPolicy default/p"]);
    play.write(&[&policy(3, "x-b")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
}

#[test]
fn nothing_is_left_out_for_a_port_that_is_in_use() {
    let mut play =
        Play::new(|_, name, _| name.ends_with("81").then_some("cannot bind '0.0.0.0:81': Address already in use"));
    play.put(&[&two_ports(1), SERVICE, &route("good", 1, ""), &policy(1, "x-a")]);
    play.settle();
    assert_eq!(play.refusals(), 1, "it is not tried in other ways");
    assert_eq!(play.left_out(), Vec::<String>::new());
}

#[test]
fn who_is_refused_beside_a_port_in_use_is_found_as_ever() {
    let mut play = Play::new(|_, name, text| match text {
        _ if name.ends_with("81") => Some("cannot bind '0.0.0.0:81': Address already in use"),
        _ if text.contains("bad-path") => Some(NO),
        _ => None,
    });
    play.kept = vec!["good.org"];
    play.write(&[&two_ports(1), SERVICE, &route("good", 1, "")]);
    for name in ["one", "two"] {
        play.write(&[&route(name, 1, "bad-path"), &route(&format!("beside-{name}"), 1, "")]);
        assert!(play.left_out().contains(&format!("default/gw: HTTPRoute default/{name}")), "{:?}", play.left_out());
        assert!(play.has("default/gw", &format!("beside-{name}.org")));
    }
    assert_eq!(play.left_out().len(), 2);
    assert!(play.nacks.refused()["default/gw"].contains("cannot bind"));
    play.write(&[&gateway("gw", 2, "")]);
    assert!(play.nacks.refused().is_empty());
}

#[test]
fn another_object_of_the_same_name_is_another_chance() {
    let mut play = disliking("bad-path", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, "")]);
    play.write(&[&route_of("r", "1", 1, "bad-path", "")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"]);
    play.write(&[&route_of("r", "2", 1, "fine", "")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
    assert!(play.has("default/gw", "r.org"));
}

#[test]
fn a_route_that_was_there_before_but_nowhere_is_a_suspect() {
    let mut play = disliking("bad-path", NO);
    let elsewhere = gateway("gw", 1, "").replace("protocol: HTTP", "protocol: HTTP, hostname: good.org");
    play.write(&[&elsewhere, SERVICE, &route("good", 1, ""), &route("r", 1, "bad-path")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
    play.write(&[&gateway("gw", 2, "")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"]);
    assert!(play.nacks.refused().is_empty());
}

#[test]
fn a_back_end_that_is_changed_in_place_is_blamed_itself() {
    let backend = |generation: i64, name: &str| {
        format!(
            "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: Backend, metadata: {{name: b, generation: {generation}}}, spec: \
             {{endpoints: [{{fqdn: {{hostname: {name}, port: 80}}}}]}}}}"
        )
    };
    let to_backend =
        route("r", 1, "").replace("name: s, port: 80", "group: gateway.envoyproxy.io, kind: Backend, name: b");
    let mut play = disliking("bad.example", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &to_backend, &backend(1, "fine.example")]);
    play.write(&[&backend(2, "bad.example")]);
    assert_eq!(play.left_out(), ["default/gw: Backend default/b"]);
    play.write(&[&backend(3, "better.example")]);
    assert_eq!(play.left_out(), Vec::<String>::new());
}

#[test]
fn words_that_seem_to_name_somebody_convict_nobody() {
    // An innocent route has what the words quote.
    let mut play = disliking("bad-path", "no: 'innocent.org'");
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, "")]);
    play.write(&[&route("innocent", 1, ""), &route("r", 1, "bad-path")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/r"]);
    assert!(play.has("default/gw", "innocent.org"));
}

#[test]
fn who_was_convicted_while_another_was_to_blame_is_tried_again() {
    let mut play = disliking("bad-path", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, "")]);
    // It comes when `a` alone is tried.
    play.surprise = Some((2, Box::new(|play| play.put(&[&route("x", 1, "bad-path")]))));
    play.write(&[&route("a", 1, ""), &route("b", 1, "bad-path")]);
    let culprits = ["default/gw: HTTPRoute default/b", "default/gw: HTTPRoute default/x"];
    assert_eq!(play.left_out(), [&["default/gw: HTTPRoute default/a"], culprits.as_slice()].concat());
    play.wait();
    assert_eq!(play.left_out(), culprits);
    assert!(play.has("default/gw", "a.org") && play.nacks.due().is_none());
}

#[test]
fn another_one_that_comes_meanwhile_does_not_hide_the_culprit() {
    let mut play = disliking("bad-path", NO);
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, "")]);
    // It comes when both are left out.
    play.surprise = Some((1, Box::new(|play| play.put(&[&route("x", 1, "bad-path")]))));
    play.write(&[&route("a", 1, ""), &route("b", 1, "bad-path")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/b", "default/gw: HTTPRoute default/x"]);
    assert!(play.has("default/gw", "a.org") && play.nacks.refused().is_empty());
}

#[test]
fn nobody_has_another_chance_while_others_are_looked_into() {
    let mut play = Play::new(|_, _, text| match text {
        _ if text.contains("bad-rewrite") => Some("no: 'r.org'"),
        _ if text.contains("bad-path") => Some(NO),
        _ => None,
    });
    play.kept = vec!["good.org"];
    play.write(&[&gateway("gw", 1, ""), SERVICE, &route("good", 1, ""), &filter(1, "bad-rewrite1")]);
    play.write(&[&route_of("r", "1", 1, "", FILTERED)]);
    play.write(&[&filter(2, "bad-rewrite2")]);
    // Its time comes when `a` alone is tried.
    play.surprise = Some((2, Box::new(|play| play.now += Duration::from_secs(2))));
    play.write(&[&route("a", 1, ""), &route("b", 1, "bad-path")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/b", "default/gw: HTTPRoute default/r"]);
    assert!(play.has("default/gw", "a.org"));
}

#[test]
fn two_culprits_at_once_that_have_nothing_in_common_are_both_found() {
    let on = |name: &str, listener: &str| {
        route(name, 1, "bad-path").replace("{name: gw}", &format!("{{name: gw, sectionName: {listener}}}"))
    };
    let mut play = disliking("bad-path", NO);
    play.write(&[&two_ports(1), SERVICE, &route("good", 1, "")]);
    play.write(&[&on("one", "http"), &on("two", "other"), &route("beside", 1, "")]);
    assert_eq!(play.left_out(), ["default/gw: HTTPRoute default/one", "default/gw: HTTPRoute default/two"]);
    assert!(play.has("default/gw", "beside.org") && play.nacks.refused().is_empty());
}

#[test]
fn what_is_refused_for_another_reason_by_now_is_looked_into() {
    let mut play = Play::new(|_, _, text| match text {
        _ if text.contains("no-such") => Some("no such cipher"),
        _ if text.contains("bad.example") => Some("no such name"),
        _ => None,
    });
    play.write(&[&gateway("gw", 1, USES_PROXY), SERVICE, TLS, &route("r", 1, ""), &proxy(1, "fine")]);
    play.write(&[&proxy(2, "no-such")]);
    assert_eq!((play.left_out(), play.nacks.refused().len()), (Vec::new(), 1));
    let tls = TLS.replace("generation: 1", "generation: 2").replace("hostname: s", "hostname: bad.example");
    play.write(&[&proxy(3, "fine"), &tls]);
    assert_eq!(play.left_out(), ["default/gw: BackendTLSPolicy default/p"]);
    assert!(play.nacks.refused().is_empty());
}
