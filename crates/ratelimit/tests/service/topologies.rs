//! Redis as it is run: Sentinel with a fail-over, a cluster with a slot that moves, TLS with client certificates, an ACL user,
//! a Redis of its own for limits per second.

use ::envoy::service::ratelimit::RateLimitRequest;
use kit::testing::Authority;
use testbed::PATIENCE;
use testbed::redis::{Cluster, Redis, Spec, sentinel};
use testbed::wait::wait_until;

use crate::house::{Service, refused, request};

const RULES: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: year, requests_per_unit: 5}
- key: tenant
  rate_limit: {unit: year, requests_per_unit: 2}
- key: quick
  rate_limit: {unit: second, requests_per_unit: 1000}
- key: window
  rate_limit: {unit: year, requests_per_unit: 5, algorithm: sliding_window}
";

async fn start(redis: &str) -> Service {
    start_counting("allOrNothing", redis).await
}

async fn start_counting(counting: &str, redis: &str) -> Service {
    let settings = format!("counting: {counting}\nstore:\n  redis:\n    deadline: 1s\n    onFailure: deny\n{redis}");
    Service::start(RULES, &settings).await.ready().await
}

async fn ask(service: &Service, request: &RateLimitRequest) -> bool {
    refused(&service.ask(request.clone()).await)
}

async fn count_to_the_limit(service: &Service, user: &str) {
    count_to_the_limit_of("user", service, user).await;
}

async fn count_to_the_limit_of(key: &str, service: &Service, value: &str) {
    for number in 1..=6 {
        assert_eq!(ask(service, &request("edge", &[(key, value)])).await, number == 6, "{key} {value}: {number}");
    }
}

#[tokio::test]
async fn after_a_fail_over_the_new_master_counts() {
    let mut master = Spec::new().start().await.unwrap();
    let (ip, port) = (master.address().ip().to_string(), master.address().port().to_string());
    let replica = Spec::new().args(["--replicaof", &ip, &port]).start().await.unwrap();
    let watcher = sentinel("main", &master, 1).await.unwrap();
    let service =
        start(&format!("    server: {{sentinel: {{master: main, addresses: ['{}']}}}}\n", watcher.address())).await;
    let ann = request("edge", &[("user", "ann")]);
    assert!(!ask(&service, &ann).await);
    let copied = async || replica.command(&["DBSIZE"]).await.unwrap() == "1";
    wait_until("the replica to have the counter", PATIENCE, copied).await.unwrap();
    master.kill().unwrap();
    let counts = async || !ask(&service, &ann).await;
    wait_until("the new master to count", PATIENCE, counts).await.unwrap();
    let key = replica.command(&["KEYS", "*ann*"]).await.unwrap();
    let count: u32 = replica.command(&["GET", &key]).await.unwrap().parse().unwrap();
    assert_eq!(count, 2, "the count before the fail-over is not lost");
}

#[tokio::test]
async fn a_cluster_counts_every_slot_and_follows_one_that_moves() {
    let cluster = Cluster::start(3).await.unwrap();
    let service = start(&format!("    server: {{cluster: ['{}']}}\n", cluster.nodes[0].address())).await;
    let mut both = request("edge", &[("user", "ann")]);
    both.descriptors.extend(request("edge", &[("tenant", "acme")]).descriptors);
    both.descriptors.extend(request("edge", &[("user", "bob")]).descriptors);
    let answers = [ask(&service, &both).await, ask(&service, &both).await, ask(&service, &both).await];
    assert_eq!(answers, [false, false, true]);
    // The refused request has spent nothing, on whichever node.
    for (user, wanted) in [("ann", "2"), ("bob", "2")] {
        assert_eq!(value(&cluster, user).await.1, wanted, "{user}");
    }
    let ((key, node), _) = value(&cluster, "ann").await;
    let target = (node + 1) % 3;
    cluster.move_slot(&key, node, target).await.unwrap();
    assert!(!ask(&service, &request("edge", &[("user", "ann")])).await);
    let ((_, node), count) = value(&cluster, "ann").await;
    assert_eq!((node, count.as_str()), (target, "3"));
}

#[tokio::test]
async fn a_cluster_without_one_of_its_nodes_counts_on_the_others() {
    let mut cluster = Cluster::start(3).await.unwrap();
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await.unwrap();
    }
    let more = "    breakerFailures: 1\n";
    let service = start(&format!("    server: {{cluster: ['{}']}}\n{more}", cluster.nodes[0].address())).await;
    // Users until the node that will go and another one have a key each.
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for number in 0.. {
        let user = format!("user{number}");
        assert!(!ask(&service, &request("edge", &[("user", &user)])).await);
        let (_, node) = cluster.keys(&format!("*{user}|*")).await.unwrap().remove(0);
        if node == 2 {
            gone.push(user)
        } else {
            there.push(user)
        }
        if !gone.is_empty() && there.len() > 1 {
            break;
        }
    }
    cluster.nodes[2].kill().unwrap();
    for _ in 0..3 {
        assert!(ask(&service, &request("edge", &[("user", &gone[0])])).await, "answered for: deny");
        assert!(!ask(&service, &request("edge", &[("user", &there[0])])).await, "counted");
        let open = service.metric(r#"ratelimit_breaker_open{redis="redis"}"#).await;
        assert!(open < 0.5, "{open}");
    }
    assert!(!ask(&service, &request("edge", &[("user", &there[1])])).await);
}

#[tokio::test]
async fn leases_save_calls_and_admit_no_more_than_the_limit() {
    let redis = Spec::new().start().await.unwrap();
    let rules = "
domain: edge
descriptors:
- key: all
  rate_limit: {unit: year, requests_per_unit: 300}
";
    let settings = format!(
        "store: {{redis: {{server: {{address: '{}'}}, deadline: 5s, leases: {{share: 0.1, time: 1h}}}}}}\n\
         localCache: {{maxKeys: 0}}\n",
        redis.address()
    );
    let services =
        [Service::start(rules, &settings).await.ready().await, Service::start(rules, &settings).await.ready().await];
    let (mut clients, mut admitted) = (services.each_ref().map(Service::client), 0);
    for _ in 0..200 {
        for client in &mut clients {
            let answer = client.should_rate_limit(request("edge", &[("all", "")])).await.unwrap();
            admitted += u32::from(!refused(&answer.into_inner()));
        }
    }
    // What is leased when the limit is reached is not lost: both go on asking.
    assert_eq!(admitted, 300);
    let leased =
        services[0].metric("ratelimit_leased_total").await + services[1].metric("ratelimit_leased_total").await;
    assert!((200.0..300.0).contains(&leased), "{leased}");
}

async fn value(cluster: &Cluster, user: &str) -> ((String, usize), String) {
    let (key, node) = cluster.keys(&format!("*{user}*")).await.unwrap().remove(0);
    let count = cluster.nodes[node].command(&["GET", &key]).await.unwrap();
    ((key, node), count)
}

#[tokio::test]
async fn redis_and_service_know_each_other_by_certificate() {
    let (authority, dir) = (Authority::new("redis"), tempfile::tempdir().unwrap());
    let ca = dir.path().join("ca.crt");
    authority.write(&ca);
    let server = authority.issue(dir.path(), "server", &["127.0.0.1", "localhost"]);
    let client = authority.issue(dir.path(), "client", &["ratelimit"]);
    let redis = Spec::new().mutual_tls(&ca, &server.cert, &server.key).start().await.unwrap();
    let service = start(&format!(
        "    server: {{address: '{}', tls: {{ca: {ca:?}, cert: {:?}, key: {:?}}}}}\n",
        redis.address(),
        client.cert,
        client.key
    ))
    .await;
    count_to_the_limit(&service, "ann").await;
}

/// What a user may do, who may do no more.
async fn allow(redis: &Redis, rights: &str) {
    let rights = format!(
        "ACL SETUSER limits on >secret ~* resetchannels -@all \
         +evalsha +eval +script|load +get +set +del +incrby +pexpire{rights}"
    );
    redis.command(&rights.split(' ').collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough() {
    let redis = Spec::new().start().await.unwrap();
    for (counting, rights, database) in [("allOrNothing", "", 0), ("countAll", "", 0), ("countAll", " +select", 3)] {
        allow(&redis, rights).await;
        redis.command(&["FLUSHALL"]).await.unwrap();
        let login = format!(
            "    server: {{address: '{}', username: limits, password: secret, database: {database}}}\n",
            redis.address()
        );
        let service = start_counting(counting, &login).await;
        count_to_the_limit(&service, counting).await;
        count_to_the_limit_of("window", &service, counting).await;
        let clients = redis.command(&["CLIENT", "LIST"]).await.unwrap();
        assert!(clients.lines().any(|one| one.contains("user=limits") && one.contains(&format!(" db={database} "))));
    }
}

#[tokio::test]
async fn a_user_with_few_rights_is_enough_for_a_cluster() {
    let cluster = Cluster::start(3).await.unwrap();
    for node in &cluster.nodes {
        allow(node, " +ping +cluster|slots +asking").await;
    }
    let first = cluster.nodes[0].address();
    let service = start(&format!("    server: {{cluster: ['{first}'], username: limits, password: secret}}\n")).await;
    for user in ["ann", "bob", "cid"] {
        count_to_the_limit(&service, user).await;
    }
    count_to_the_limit_of("window", &service, "ann").await;
}

#[tokio::test]
async fn limits_per_second_can_have_a_redis_of_their_own() {
    let (all, quick) = (Spec::new().start().await.unwrap(), Spec::new().start().await.unwrap());
    let service = start(&format!(
        "    server: {{address: '{}'}}\n    perSecond: {{address: '{}', connections: 3}}\n",
        all.address(),
        quick.address()
    ))
    .await;
    let mut both = request("edge", &[("user", "ann")]);
    both.descriptors.extend(request("edge", &[("quick", "x")]).descriptors);
    assert!(!ask(&service, &both).await);
    let keys = async |redis: &Redis| redis.command(&["KEYS", "*"]).await.unwrap();
    assert!(keys(&all).await.starts_with("edge|user=ann|f31536000:"));
    assert!(keys(&quick).await.starts_with("edge|quick=x|f1:"));
}
