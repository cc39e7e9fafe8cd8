//! A step that takes too long is ended. A process of its own: the bound holds for all of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use coraza::{Broken, Request, Rules, Source};

type Field = (&'static [u8], &'static [u8]);

const HEADERS: [Field; 2] = [(b"host", b"shop.example"), (b"content-type", b"application/x-www-form-urlencoded")];

fn post() -> Request<'static, [Field; 2]> {
    Request {
        id: "1",
        client: ("192.0.2.1", 40_000),
        server: ("192.0.2.2", 443),
        method: b"POST",
        target: b"/",
        protocol: "HTTP/1.1",
        host: b"shop.example",
        headers: HEADERS,
    }
}

#[test]
fn a_step_that_takes_too_long_is_ended_at_the_next_rule() {
    // Each of them reads the whole body anew.
    let rule = |id: u32| format!("SecRule ARGS \"@rx (?:a|b)*c\" \"id:{id},phase:2,pass,nolog,t:none\"\n");
    let text: String = (1..=2000).map(rule).collect();
    let text = format!("SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyLimit 1000000\n{text}");
    let rules = Rules::compile(&Source::new(coraza::versions().1.remove(0)).load("rules.conf", text)).unwrap();
    let long = [b"x=".to_vec(), vec![b'a'; 200_000]].concat();
    coraza::limit(0, 0, 0, Duration::from_millis(50));
    let begun = Instant::now();
    let mut transaction = rules.begin(post(), false);
    assert_eq!(transaction.request_body(&long, true).unwrap_err(), &Broken::Late);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(transaction.finish().unwrap_err(), &Broken::Late);
    drop(transaction);
    // The next one has its own time.
    let mut next = rules.begin(post(), false);
    assert_eq!(next.request_body(b"x=a", true).unwrap().interruption, None);
}
