//! One corpus of paths through Envoys that read them in different ways: what passes without a login is open for whoever stands
//! behind, however that reads it.

#[path = "../../src/path/lenient.rs"]
mod lenient;

use std::net::SocketAddr;

use lenient::lenient;

use crate::edge;
use crate::house::{House, WEB};

const PIECES: &[&str] = &[
    "/", "public", "private", "..", ".", ";", "%2e", "%2f", "%5c", "\\", "%00", "%23", "%3f", "%25", "2e", "2f", "//",
    "%", "a", "%c3%a4", "%20", "%c0%ae", "PUBLIC", "%70", "/../", "/public/",
];
const TARGETS: usize = 500;

/// Targets that are put together by chance, the same ones each time; half of them begin with the open path.
fn targets() -> Vec<String> {
    let mut state = 7_u64;
    let mut below = move |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % most
    };
    let mut target = |number: usize| {
        let start = if number.is_multiple_of(2) { "/public/" } else { "/" };
        let pieces = (0..below(7)).map(|_| PIECES[below(PIECES.len())]);
        format!("{start}{}", pieces.collect::<String>())
    };
    (0..TARGETS).map(&mut target).collect()
}

/// The status of a target, as it is written; 0 when there is no answer.
async fn status(address: SocketAddr, target: &str, agent: &str) -> u16 {
    let text =
        format!("GET {target} HTTP/1.1\r\nhost: app.example\r\nuser-agent: {agent}\r\naccept: text/html\r\n\r\n");
    edge::status(address, text.as_bytes()).await.unwrap_or(0)
}

#[tokio::test]
async fn what_passes_without_a_login_is_open_for_every_server_behind() {
    let house = House::start(&format!("{WEB}    anonymous: [{{path: /public/*}}]\n")).await;
    let read = async |slashes| edge::start_reading(&house.service.grpc, house.backend.address(), slashes).await;
    let (_forwarding, forwarding) = read("UNESCAPE_AND_FORWARD").await;
    let (_redirecting, redirecting) = read("UNESCAPE_AND_REDIRECT").await;
    for (how, envoy) in [("as they are", house.address), ("forwarded", forwarding), ("redirected", redirecting)] {
        let (mut passed, mut bypasses, mut mismatches) = (0, Vec::new(), Vec::new());
        for target in targets() {
            house.backend.clear();
            let plain = status(envoy, &target, "Mozilla/5.0").await;
            if let Some(seen) = house.backend.requests().first() {
                passed += 1;
                let read = lenient(seen.path.split('?').next().unwrap());
                if plain != 200 || read != "/public" && !read.starts_with("/public/") {
                    bypasses.push(format!("{target} is {}", seen.path));
                }
            }
            // Neither the query nor who asks is of any weight.
            let asked = status(envoy, &format!("{target}?/public/../x=%2e%2e"), "kube-probe/1.34").await;
            if asked != plain {
                mismatches.push(format!("{target}: {plain}, {asked}"));
            }
            let marked = format!("{target}#/public/x");
            house.backend.clear();
            let answer = status(envoy, &marked, "GoogleHC/1.0").await;
            if house.backend.count() > 0 {
                bypasses.push(format!("{marked}: {answer}"));
            }
        }
        println!(
            "paths {how}: {passed} of {TARGETS} passed, bypasses {}, mismatches {}",
            bypasses.len(),
            mismatches.len()
        );
        assert!(bypasses.is_empty() && mismatches.is_empty(), "{how}: {bypasses:?} {mismatches:?}");
        assert!(passed > TARGETS / 20 && passed < TARGETS / 2, "{how}: {passed}");
    }
}
