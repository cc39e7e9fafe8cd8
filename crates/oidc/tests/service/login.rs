//! Logging in, as people meet it.

use serde_json::json;
use testbed::idp::{Algorithm, Event};

use crate::house::{House, Service, WEB, ann, provider};

#[tokio::test]
async fn a_person_logs_in_and_comes_back_to_where_they_were() {
    let house = House::start(WEB).await;
    let mut browser = house.browser();
    let answer = browser.open("https://app.example/shop/cart?item=a%20b&x=//y").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = answer.echoed().unwrap();
    assert_eq!(seen.path, "/shop/cart?item=a%20b&x=//y");
    assert_eq!(
        (seen.header("x-user"), seen.header("x-email"), seen.header("x-groups")),
        (Some("ann"), Some("ann@example.com"), Some("people,ops"))
    );
    assert_eq!(seen.header("cookie"), None);
    assert_eq!(browser.names("app.example"), ["__Host-portcullis"], "no cookie of the login is left");
    // Once is enough.
    assert_eq!(browser.get("https://app.example/other").await.status, 200);
    assert_eq!(house.provider.count(Event::Authorize), 1);
    let authorize = &browser.visited[1];
    for wanted in ["response_type=code", "code_challenge_method=S256", "nonce=", "scope=openid+profile+email", "state="]
    {
        assert!(authorize.contains(wanted), "{authorize}");
    }
    let audited = house.service.audited("login").await;
    assert!(audited.to_string().contains("ann"), "{audited}");
    assert_eq!(house.service.metric("oidc_logins_total", &["provider=\"main\"", "outcome=\"done\""]).await, 1);
}

#[tokio::test]
async fn several_tabs_log_in_at_once_and_abandoned_logins_do_not_pile_up() {
    let house = House::start(WEB).await;
    let mut browser = house.browser();
    let mut waiting = Vec::new();
    for tab in 0..4 {
        waiting.push(browser.until(&format!("https://app.example/tab{tab}"), &house.provider.issuer()).await);
    }
    for (tab, url) in waiting.iter().enumerate().rev() {
        let answer = browser.open(url).await;
        assert_eq!((answer.status.as_u16(), answer.echoed().unwrap().path), (200, format!("/tab{tab}")));
    }
    assert_eq!(browser.names("app.example"), ["__Host-portcullis"]);
    let mut abandoning = house.browser();
    for _ in 0..30 {
        abandoning.until("https://app.example/", &house.provider.issuer()).await;
    }
    let kept = abandoning.header("app.example");
    assert!(
        abandoning.cookies.len() <= 6 && kept.len() < 6000,
        "{} cookies, {} bytes",
        abandoning.cookies.len(),
        kept.len()
    );
    assert_eq!(abandoning.open("https://app.example/").await.status, 200);
}

#[tokio::test]
async fn one_login_serves_hosts_of_a_domain_and_their_profiles() {
    let house = House::start(&format!("{WEB}  api: {{providers: [main]}}\ncookies: {{domain: example}}\n")).await;
    let mut browser = house.browser();
    assert_eq!(browser.open("https://app.example/").await.status, 200);
    for host in ["app.example", "api.example", "shop.example"] {
        assert_eq!(browser.get(&format!("https://{host}/")).await.status, 200, "{host}");
    }
    assert_eq!(house.provider.count(Event::Authorize), 1);
    assert_eq!(browser.names(".example"), ["__Secure-portcullis"]);
}

#[tokio::test]
async fn a_login_makes_a_new_session_id_each_time() {
    let house = House::start(WEB).await;
    let mut browser = house.logged_in().await;
    let first = browser.header("app.example");
    browser.open("https://app.example/oauth2/login?rd=/again").await;
    let second = browser.header("app.example");
    assert_ne!(first, second);
    let mut thief = house.browser();
    let (name, value) = first.split_once('=').unwrap();
    thief.cookies.insert(("app.example".into(), name.into()), value.into());
    assert_eq!(thief.get("https://app.example/").await.status, 302, "the old session has ended");
}

#[tokio::test]
async fn clients_prove_who_they_are_in_each_way() {
    use testbed::idp::{Client, Provider};
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let secret = || Some("a secret: +/=%&".to_owned());
    let clients = vec![
        Client { id: "basic".into(), secret: secret(), ..Client::default() },
        Client { id: "post".into(), secret: secret(), ..Client::default() },
        Client { id: "signed".into(), key: Some(key.clone()), ..Client::default() },
        Client { id: "public".into(), ..Client::default() },
    ];
    let idp = std::sync::Arc::new(Provider::start(clients).await.unwrap());
    idp.log_in_as(&ann());
    let dir = tempfile::tempdir().unwrap();
    let (secret_file, key_file) = (dir.path().join("secret"), dir.path().join("key.pem"));
    std::fs::write(&secret_file, format!("{}\n", secret().unwrap())).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let ways = [
        ("basic", format!("clientAuth: basic, clientSecretFile: {secret_file:?}")),
        ("post", format!("clientAuth: post, clientSecretFile: {secret_file:?}")),
        ("signed", format!("privateKeyFile: {key_file:?}")),
        ("public", String::new()),
    ];
    for (id, how) in ways {
        let house = House::with(
            std::sync::Arc::clone(&idp),
            &format!(
                "providers: {{main: {{issuer: '{}', clientId: {id}, insecure: true, {how}}}}}\n\
                 defaultProfile: web\n{WEB}",
                idp.issuer()
            ),
        )
        .await;
        let answer = house.browser().open("https://app.example/").await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_secret_may_be_replaced_while_running() {
    let idp = provider().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old").unwrap();
    let with = format!("clientSecretFile: {:?}", file.path());
    let main = crate::house::main_provider(&idp).replace("clientSecret: s3cret", &with);
    let house = House::with(idp, &format!("{main}defaultProfile: web\n{WEB}")).await;
    assert_eq!(house.browser().open("https://app.example/").await.status, 502);
    std::fs::write(file.path(), "s3cret\n").unwrap();
    assert_eq!(house.browser().open("https://app.example/").await.status, 200);
}

#[tokio::test]
async fn a_provider_is_chosen_by_host_and_header_and_asked_for_what_is_its_own() {
    let (one, two) = (provider().await, provider().await);
    let entry = |name: &str, of: &testbed::idp::Provider, more: &str| {
        format!("  {name}: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true{more}}}\n", of.issuer())
    };
    let more = ", scopes: [phone], resources: ['https://api.example'], authorizationParameters: {prompt: login}";
    let settings = format!(
        "providers:\n{}{}defaultProfile: web\nprofiles:\n  web:\n    providers: [one, two]\n    choose:\n    \
         - {{provider: two, hosts: ['*.two.example']}}\n    - {{provider: two, headers: {{x-tenant: two}}}}\n    \
         - {{provider: one, hosts: [app.example]}}\n",
        entry("one", &one, ""),
        entry("two", &two, more)
    );
    let house = House::with(std::sync::Arc::clone(&one), &settings).await;
    let led = async |url: &str, headers: &[(&str, &str)]| {
        house.browser().get_with(url, headers).await.header("location").unwrap_or_default().to_owned()
    };
    assert!(led("https://app.example/", &[]).await.starts_with(&one.issuer()));
    for (url, headers) in [("https://a.two.example/", &[][..]), ("https://app.example/", &[("x-tenant", "two")])] {
        let to = led(url, headers).await;
        assert!(to.starts_with(&two.issuer()), "{to}");
        for wanted in ["scope=openid+phone&", "resource=https%3A%2F%2Fapi.example", "prompt=login"] {
            assert!(to.contains(wanted), "{wanted}: {to}");
        }
    }
    let page = house.browser().get("https://other.example/").await;
    let text = page.text();
    let request = text.split("Request ").nth(1).unwrap().split('<').next().unwrap();
    assert!(page.status == 200 && request.len() == 36 && text.contains(">one</a>"), "{text}");
}

#[tokio::test]
async fn keys_may_be_replaced_while_running() {
    let house = House::start(WEB).await;
    house.logged_in().await;
    house.provider.rotate(Algorithm::Rs256).unwrap();
    house.logged_in().await;
    let before = house.provider.count(Event::Keys);
    house.logged_in().await;
    assert_eq!(house.provider.count(Event::Keys), before, "keys are not asked for at each login");
}

#[tokio::test]
async fn a_person_chooses_among_several_providers() {
    let (one, two) = (provider().await, provider().await);
    two.log_in_as(&json!({ "sub": "bob" }));
    let settings = format!(
        "providers:\n  one: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true, title: 'The <One>'}}\n  \
         two: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true, domains: [two.example]}}\n\
         profiles:\n  choice:\n    providers: [one, two]\n    choose: [{{provider: two, paths: [/two/*]}}]\n    \
         upstream: {{headers: {{x-user: sub}}}}\n",
        one.issuer(),
        two.issuer()
    );
    let house = House::with(std::sync::Arc::clone(&one), &settings).await;
    let mut browser = house.browser();
    let page = browser.open("https://choice.example/deep/page?x=1").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("The &lt;One&gt;") && text.contains(">two</a>"), "{text}");
    let link = text.split("href=\"").nth(2).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let seen = browser.open(&format!("https://choice.example{link}")).await.echoed().unwrap();
    assert_eq!((seen.header("x-user"), seen.path.as_str()), (Some("bob"), "/deep/page?x=1"));
    let by_path = house.browser().open("https://choice.example/two/x").await.echoed().unwrap();
    assert_eq!(by_path.header("x-user"), Some("bob"));
    let by_hint = house.browser().open("https://choice.example/?login_hint=bob@two.example").await.echoed().unwrap();
    assert_eq!(by_hint.header("x-user"), Some("bob"));
    let by_domain = house.browser().open("https://choice.example/?domain_hint=two.example").await.echoed().unwrap();
    assert_eq!(by_domain.header("x-user"), Some("bob"));
    assert_eq!(house.browser().get("https://choice.example/?domain_hint=three.example").await.status, 200, "nobody's");
    assert_eq!(house.browser().get("https://choice.example/oauth2/login?provider=three").await.status, 404);
}

#[tokio::test]
async fn a_new_configuration_is_taken_over_and_a_bad_one_is_not() {
    let house = House::start(WEB).await;
    let mut browser = house.logged_in().await;
    let with = |more: &str| format!("{}defaultProfile: web\n{WEB}{more}", crate::house::main_provider(&house.provider));
    house.service.configure(&with("    rules: [{allow: \"'admins' in groups\"}]\n"));
    let refused = async || browser.clone().get("https://app.example/").await.status == 403;
    testbed::wait::wait_until("the new rule", testbed::PATIENCE, refused).await.unwrap();
    house.service.configure(&with("    rules: [{allow: 'nonsense ++'}]\n"));
    let failed = async || house.service.metric("config_reload_failures_total", &["config"]).await > 0;
    testbed::wait::wait_until("the bad configuration to be seen", testbed::PATIENCE, failed).await.unwrap();
    assert_eq!(browser.get("https://app.example/").await.status, 403, "the last good one stays");
    let log = house.service.log();
    assert!(log.contains("profiles.web.rules[0].allow") && log.contains("oidc.yaml"), "{log}");
    // What is not even a field is said with its line.
    house.service.configure(&with("    anonimous: []\n"));
    let said = async || house.service.log().contains("anonimous");
    testbed::wait::wait_until("the field to be named", testbed::PATIENCE, said).await.unwrap();
    let file = std::fs::read_to_string(house.service.dir.path().join("oidc.yaml")).unwrap();
    let line = file.lines().position(|line| line.contains("anonimous")).unwrap() + 1;
    let log = house.service.log();
    assert!(log.contains(&format!("oidc.yaml:{line}:")), "line {line}: {log}");
    assert_eq!(browser.get("https://app.example/").await.status, 403, "the last good one stays");
    house.service.configure(&with(""));
    let passes = async || browser.clone().get("https://app.example/").await.status == 200;
    testbed::wait::wait_until("the rule to go", testbed::PATIENCE, passes).await.unwrap();
}

#[tokio::test]
async fn a_new_provider_is_known_before_it_is_used() {
    let house = House::start(WEB).await;
    let other = provider().await;
    other.turn(|knobs| knobs.delay = std::time::Duration::from_millis(500));
    house.service.configure(&format!("{}defaultProfile: web\n{WEB}", crate::house::main_provider(&other)));
    let taken = async || {
        let answer = house.browser().get("https://app.example/").await;
        assert_eq!(answer.status, 302, "no moment without a provider");
        answer.header("location").unwrap().starts_with(&other.issuer())
    };
    testbed::wait::wait_until("the new provider", testbed::PATIENCE, taken).await.unwrap();
}

#[tokio::test]
async fn the_login_is_finished_by_user_info_where_that_is_wanted() {
    let idp = provider().await;
    let settings = format!(
        "providers:\n  main: {{issuer: '{}', clientId: edge, clientSecret: s3cret, insecure: true, userInfo: true}}\n\
         defaultProfile: web\n\
         profiles: {{web: {{providers: [main], upstream: {{headers: {{x-more: from_user_info}}}}}}}}\n",
        idp.issuer()
    );
    let house = House::with(idp, &settings).await;
    let seen = house.browser().open("https://app.example/").await.echoed().unwrap();
    assert_eq!(seen.header("x-more"), Some("true"));
}

#[tokio::test]
async fn people_may_be_sent_back_to_another_path() {
    let idp = provider().await;
    let main = crate::house::main_provider(&idp)
        .replace("insecure: true", "insecure: true, redirectUrl: 'https://app.example/app/back'");
    let house = House::with(idp, &format!("{main}defaultProfile: web\n{WEB}")).await;
    let mut browser = house.browser();
    let answer = browser.open("https://app.example/page").await;
    assert_eq!((answer.status.as_u16(), answer.echoed().unwrap().path.as_str()), (200, "/page"));
    assert!(
        browser.visited.iter().any(|url| url.starts_with("https://app.example/app/back?")),
        "{:?}",
        browser.visited
    );
    assert_eq!(browser.get("https://shop.example/app/back").await.status, 302, "at that host only");
}

#[tokio::test]
async fn the_tools_say_what_is_wrong_and_what_would_happen() {
    let service = Service::start("").await;
    let file = service.dir.path().join("try.yaml");
    let run = |text: &str, words: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_portcullis-oidc")).args(words).arg(&file).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let good = "providers: {main: {issuer: 'https://id.example', clientId: a}}\nprofiles:\n  web:\n    providers: [main]\n    \
                anonymous: [{path: /public/*}]\n    rules: [{name: operators, allow: \"'ops' in groups\"}]\n";
    assert_eq!(run(good, &["check"]), (0, "ok: 1 providers, 1 profiles\n".to_owned()));
    let (code, said) = run("providers: {main: {isuer: x}}", &["check"]);
    assert!(code == 1 && said.contains("try.yaml:1:") && said.contains("isuer"), "{said}");
    for (words, wanted) in [
        (&["--path", "/public/a.css"][..], "passes: the path needs no login"),
        (&["--path", "/public/../admin"], "needs a login"),
        (&["--claims", "{\"sub\":\"ann\",\"groups\":[\"ops\"]}"], "passes: rule `operators` allows it"),
        (&["--claims", "{\"sub\":\"eve\"}"], "refused (403)"),
    ] {
        let all = [&["explain", "--profile", "web"], words].concat();
        let (code, said) = run(good, &all);
        assert!(code == 0 && said.contains(wanted), "{words:?}: {said}");
    }
}
