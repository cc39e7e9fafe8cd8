use testbed::redis::{Cluster, Spec, sentinel};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::net::Address;
use crate::redis::Sentinel;
use crate::testing::{DEADLINE, eventually, kit};

fn terms() -> Terms {
    Terms {
        greeting: Vec::new(),
        lanes: None,
        most_failures: 1,
        open: IntGauge::new("open", "1 while it is left alone.").unwrap(),
        closes_gate: false,
    }
}

fn address(server: &testbed::redis::Redis) -> Address {
    Address::Tcp(server.address().to_string())
}

/// A port from which nothing comes, not even a refusal: no connection has room in its queue any more.
struct Hole(TcpListener, Vec<TcpStream>);

impl Hole {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut hole = Self(socket.listen(0).unwrap(), Vec::new());
        let address = hole.0.local_addr().unwrap();
        while let Ok(stream) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            hole.1.push(stream.unwrap());
        }
        hole
    }

    fn address(&self) -> Address {
        Address::Tcp(self.0.local_addr().unwrap().to_string())
    }
}

/// Waits until it is connected and these keys, which are not there, can be read.
async fn reads(link: &Link, keys: &[String]) {
    eventually("a connection", async || link.live.load_full()).await;
    for key in keys {
        let read = async || link.call(redis::cmd("GET").arg(key), Instant::now() + DEADLINE).await.ok();
        assert_eq!(eventually("an answer", read).await, Value::Nil);
    }
}

#[tokio::test]
async fn what_old_connections_learn_late_is_not_held_against_new_ones() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let link = Link::start(&kit, "redis", Server { address: Some(address(&server)), ..Server::default() }, terms());
    let old = eventually("a connection", async || link.live.load_full()).await;
    link.give_up(&old);
    let new = eventually("another connection", async || link.live.load_full()).await;
    link.failed(&old);
    link.judge(&old, &RedisError::from((ErrorKind::Io, "broken pipe")));
    assert!(link.live.load_full().is_some_and(|live| Arc::ptr_eq(&live, &new)));
    link.failed(&new);
    assert!(link.live.load().is_none());
    kit.shutdown.force();
}

#[tokio::test]
async fn a_cluster_is_connected_to_past_nodes_that_keep_silent() {
    let (cluster, kit, hole) = (Cluster::start(3).await.unwrap(), kit(), Hole::new().await);
    let mut keys = Vec::new();
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await.unwrap();
    }
    for key in (0..32).map(|number| number.to_string()) {
        let slot: usize = cluster.nodes[1].command(&["CLUSTER", "KEYSLOT", &key]).await.unwrap().parse().unwrap();
        // The first node's are the first third.
        keys.extend(Some(key).filter(|_| slot > 16_384 / 3));
    }
    cluster.nodes[0].pause().unwrap();
    let seeds = [hole.address()].into_iter().chain(cluster.nodes.iter().map(address)).collect();
    let link = Link::start(&kit, "redis", Server { cluster: seeds, ..Server::default() }, terms());
    reads(&link, &keys).await;
    kit.shutdown.force();
}

#[tokio::test]
async fn several_connections_are_made_past_a_sentinel_that_keeps_silent() {
    let (master, kit, hole) = (Spec::new().start().await.unwrap(), kit(), Hole::new().await);
    let watcher = sentinel("main", &master, 0).await.unwrap();
    let addresses = vec![hole.address(), address(&watcher)];
    let sentinel = Some(Sentinel { master: "main".to_owned(), addresses, ..Sentinel::default() });
    let link = Link::start(&kit, "redis", Server { sentinel, connections: 3, ..Server::default() }, terms());
    reads(&link, &["key".to_owned()]).await;
    assert_eq!(link.live.load_full().unwrap().connections[0].len(), 3);
    kit.shutdown.force();
}

#[tokio::test]
async fn connections_that_nobody_uses_stay() {
    let server = Spec::new().args(["--timeout", "3"]).start().await.unwrap();
    let (kit, settings) = (kit(), Server { address: Some(address(&server)), connections: 3, ..Server::default() });
    let link = Link::start_pinging(&kit, "redis", settings, terms(), Duration::from_millis(100));
    let live = eventually("a connection", async || link.live.load_full()).await;
    // One that is not ours is closed before long.
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    silent.read_to_end(&mut Vec::new()).await.unwrap();
    for _ in 0..3 {
        link.call(&redis::cmd("DBSIZE"), Instant::now() + DEADLINE).await.unwrap();
    }
    assert!(link.live.load_full().is_some_and(|now| Arc::ptr_eq(&now, &live)));
    kit.shutdown.force();
}

#[tokio::test]
async fn connections_are_replaced_before_a_broken_one_is_used() {
    let server = Spec::new().start().await.unwrap();
    let (kit, settings) = (kit(), Server { address: Some(address(&server)), connections: 2, ..Server::default() });
    let link = Link::start_pinging(&kit, "redis", settings, terms(), Duration::from_millis(50));
    let old = eventually("a connection", async || link.live.load_full()).await;
    let clients = server.command(&["CLIENT", "LIST"]).await.unwrap();
    let ours = clients.lines().find(|client| !client.contains("cmd=client|list")).unwrap();
    let id = ours.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
    server.command(&["CLIENT", "KILL", "ID", id]).await.unwrap();
    let others = async || {
        let live = link.live.load_full().expect("there are connections all the time");
        Some(live).filter(|live| !Arc::ptr_eq(live, &old))
    };
    eventually("other connections", others).await;
    for _ in 0..2 {
        link.call(&redis::cmd("DBSIZE"), Instant::now() + DEADLINE).await.unwrap();
    }
    assert_eq!(link.terms.open.get(), 0);
    kit.shutdown.force();
}
