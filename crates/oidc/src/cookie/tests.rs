use super::*;
use proptest::prelude::*;

fn jar() -> Jar {
    Jar::new(&Settings::default())
}

/// The header that a browser would send after these cookies were set.
fn sent(cookies: &[String]) -> String {
    let kept = cookies.iter().filter(|cookie| !cookie.contains("Max-Age=0;"));
    kept.map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
}

#[test]
fn cookies_are_bound_to_host_and_tls() {
    let cookie = &jar().set_session("x", 60, "").unwrap()[0];
    assert_eq!(cookie, "__Host-portcullis=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    let shared = Jar::new(&Settings { domain: Some("example.com".into()), ..Settings::default() });
    let cookie = &shared.set_session("x", 60, "").unwrap()[0];
    assert!(cookie.starts_with("__Secure-portcullis=x;") && cookie.contains("; Domain=example.com;"), "{cookie}");
    let login = shared.set_login(1, "x", 60, None);
    assert!(login.starts_with("__Host-portcullis-login-1=x; Path=/; Max-Age=60; HttpOnly"), "{login}");
    let away = shared.set_login(1, "x", 60, Some("example.com"));
    assert!(away.starts_with("__Secure-portcullis-away-1=x; Path=/; Max-Age=60; Domain=example.com;"), "{away}");
    let header = "__Secure-portcullis-away-1=x; __Host-portcullis-login-1=y";
    assert_eq!([false, true].map(|away| shared.logins(header, 1, away).to_vec()), [["y"], ["x"]]);
    assert!(jar().is_ours("__Secure-portcullis-away-1") && jar().is_ours("__Host-portcullis-finished"));
}

fn values(header: &str) -> Vec<String> {
    jar().sessions(header).into_vec()
}

#[test]
fn of_a_tossed_cookie_each_value_is_tried_and_the_last_first() {
    assert_eq!(values("a=1; __Host-portcullis=x; b=2"), ["x"]);
    assert_eq!(values("__Host-portcullis=x; __Host-portcullis=y"), ["y", "x"]);
    assert_eq!(values("__Host-portcullis=x;__Host-portcullis=x"), ["x"]);
    assert_eq!(values("__host-portcullis=x"), [""; 0]);
    let many: String = (0..5000).map(|count| format!("__Host-portcullis={count};")).collect();
    assert_eq!(values(&many).first().map(String::as_str), Some("4999"));
    assert_eq!(values(&many).len(), MOST_VALUES);
}

#[test]
fn of_tossed_parts_all_wholes_are_tried() {
    let own = "__Host-portcullis=2~a; __Host-portcullis-1=b";
    assert_eq!(values(own), ["ab"]);
    assert_eq!(values(&format!("__Host-portcullis-1=x; {own}")), ["ab", "ax"]);
    assert_eq!(values(&format!("__Host-portcullis=3~y; __Host-portcullis=z; {own}")), ["ab", "z"]);
    let parts: String = (0..400).map(|count| format!("__Host-portcullis-{}={count};", count % 7 + 1)).collect();
    assert_eq!(values(&format!("{parts}__Host-portcullis=8~a")).len(), MOST_VALUES);
}

#[test]
fn logins_that_were_finished_are_counted_until_one_is_let_pass() {
    let jar = jar();
    let first = jar.set_finished("a=1");
    assert_eq!(first, "__Host-portcullis-finished=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    let header = sent(&[jar.set_finished(&sent(&[first]))]);
    assert_eq!(jar.finished(&header), 2);
    assert!(jar.clear_finished(&header).unwrap().contains("Max-Age=0;") && jar.clear_finished("a=1").is_none());
    assert_eq!(jar.finished("__Host-portcullis-finished=x; __Host-portcullis-finished=-1"), 0);
}

#[test]
fn headers_that_were_joined_by_a_comma_are_several() {
    let header = "a=1,2,__Host-portcullis=x, __Host-portcullis-1=y; b=3";
    assert_eq!(values(header), ["x"]);
    assert_eq!(values("__Host-portcullis=x,__Host-portcullis=y"), ["y", "x"]);
    assert_eq!(values("a=1,__Host-portcullis=x,b=2"), ["x"]);
    assert_eq!(jar().without_ours("a=1,__Host-portcullis=x,b=2,3").as_deref(), Some("a=1; b=2,3"));
    assert_eq!(jar().without_ours(header).as_deref(), Some("a=1,2; b=3"));
}

#[test]
fn the_server_behind_sees_no_cookie_of_ours() {
    let header = "a=1; __Host-portcullis=x; __Host-portcullis-1=y; __Host-portcullis-login-3=z; portcullis=mine; b";
    assert_eq!(jar().without_ours(header).as_deref(), Some("a=1; portcullis=mine; b"));
    assert_eq!(jar().without_ours("__Host-portcullis=x").as_deref(), Some(""));
    assert_eq!(jar().without_ours("a=1; b=2"), None);
    assert!(!jar().is_ours("__Host-portcullis-other"));
    for ours in ["__Secure-portcullis", "__Host-portcullis_1a2b3c4d", "__Secure-portcullis_1a2b3c4d-2"] {
        assert!(jar().is_ours(ours), "{ours}");
    }
    for other in ["__Host-portcullis_1a2b3c4x", "__Host-portcullis_1a2b3c4d5", "portcullis_1a2b3c4d", "__Host-x"] {
        assert!(!jar().is_ours(other), "{other}");
    }
}

#[test]
fn a_profile_has_cookies_of_its_own() {
    let jar = jar();
    let cookies =
        Cookies { domain: Some("example.com".into()), suffix: Some("1a2b3c4d".into()), same_site: SameSite::None };
    let own = jar.of(&cookies);
    let cookie = &own.set_session("x", 60, "").unwrap()[0];
    assert_eq!(
        cookie,
        "__Secure-portcullis_1a2b3c4d=x; Path=/; Max-Age=60; Domain=example.com; HttpOnly; SameSite=None; Secure"
    );
    assert_eq!(own.login_name(1, false), jar.login_name(1, false));
    assert!(own.is_ours("__Host-portcullis") && jar.is_ours(own.session_name()));
    assert!(matches!(jar.of(&Cookies::default()), Cow::Borrowed(_)));
}

#[test]
fn logins_take_free_slots_and_at_most_six() {
    let jar = jar();
    let mut header = String::new();
    for round in 0..SLOTS {
        let slot = jar.free_slot(&header, round * 7);
        assert!([false, true].iter().all(|away| jar.logins(&header, slot, *away).is_empty()));
        header = format!("{header}; {}=x", jar.login_name(slot, round % 2 == 0));
    }
    assert!(jar.free_slot(&header, 1234) < SLOTS);
}

#[test]
fn a_header_of_commas_costs_no_more_than_its_length() {
    let jar = Jar::new(&Settings::default());
    let start = std::time::Instant::now();
    for text in [",", "a,", "=,", "__Host-portcullis,", "__Host-portcullis=2~,"] {
        let header = text.repeat((1 << 18) / text.len());
        let _ = (jar.sessions(&header), jar.without_ours(&header));
    }
    // With a look at all the rest for each comma it would be a minute.
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn values_of_any_size_come_back_or_are_refused(length in 1_usize..40_000, old in 0_usize..9) {
        let value = "a".repeat(length);
        let before: Vec<String> = (0..old).map(|part| match part {
            0 => format!("__Host-portcullis={old}~x"),
            part => format!("__Host-portcullis-{part}=x"),
        }).collect();
        match jar().set_session(&value, 60, &before.join("; ")) {
            Some(cookies) => {
                prop_assert!(cookies.iter().all(|cookie| cookie.len() < 4096));
                prop_assert_eq!(values(&sent(&cookies)), [value]);
                let removed = cookies.iter().filter(|cookie| cookie.contains("Max-Age=0;")).count();
                let written = cookies.len() - removed;
                prop_assert_eq!(removed, old.min(MOST_CHUNKS).saturating_sub(written));
            }
            None => prop_assert!(length > CHUNK * MOST_CHUNKS),
        }
    }

    #[test]
    fn nothing_makes_reading_panic(header in ".*") {
        jar().sessions(&header);
        jar().without_ours(&header);
        jar().clear_session(&header);
    }
}
