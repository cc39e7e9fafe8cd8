//! The scripts on a real Redis against the embedded store: the same schedule gives the same readings.

use std::net::SocketAddr;

use kit::testing::{eventually, kit};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testbed::redis::Spec;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::key::Keys;
use crate::limit::{Algorithm, Limit, Millis};
use crate::settings::redis::{OnFailure, Server as ServerSettings};
use crate::store::memory::Memory;
use crate::store::{Fallback, Leases, Remote, Store, Weight};

/// A whole day, so that no counter expires while a schedule plays.
const NOW: Millis = 1_700_000_000_000;

/// Settings under which nothing is late by chance.
fn patient() -> RedisSettings {
    RedisSettings { deadline: Duration::from_secs(5), ..RedisSettings::default() }
}

fn at(address: SocketAddr) -> ServerSettings {
    ServerSettings { address: Some(address.to_string().parse().unwrap()), ..ServerSettings::default() }
}

async fn connected(redis: &testbed::redis::Redis, kit: &Kit) -> Redis {
    connected_with(redis, kit, patient()).await
}

async fn connected_with(redis: &testbed::redis::Redis, kit: &Kit, settings: RedisSettings) -> Redis {
    let settings = RedisSettings { server: at(redis.address()), ..settings };
    let metrics = Arc::new(Metrics::register(kit.metrics.registry()));
    let store = Redis::start(kit, &settings, &metrics, None);
    eventually("a connection", async || kit.gates.readiness().is_ready().then_some(())).await;
    store
}

type Charged = (u8, u8, i64, Weight);

fn batches() -> impl Strategy<Value = Vec<(u64, Vec<Charged>)>> {
    let hits = prop_oneof![5 => Just(1_i64), 2 => 0_i64..8, 1 => -5_i64..0];
    let weight = prop_oneof![
        12 => Just(Weight::Refuses), 2 => Just(Weight::Counts), 2 => Just(Weight::Spare), 1 => Just(Weight::Looks)
    ];
    let charge = (0_u8..5, 0_u8..3, hits, weight);
    let pause = prop_oneof![3 => 0_u64..40, 2 => 0_u64..900, 1 => 0_u64..4000];
    prop::collection::vec((pause, prop::collection::vec(charge, 1..5)), 1..30)
}

/// The largest key is of limits whose numbers are beyond what is exact.
const LARGEST: u8 = 4;

fn batch(run: u32, now: Millis, counting: Counting, charges: &[Charged]) -> Batch {
    let mut batch = Batch::new(now, counting);
    for (key, algorithm, hits, weight) in charges {
        let algorithm =
            [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket][usize::from(*algorithm)];
        let large = *key == LARGEST;
        let requests = if large { 1_000_000 } else { u32::from(*key) * 3 };
        let hits = if large { hits * 123_457 } else { *hits };
        let limit = Limit {
            requests,
            unit: if large { Unit::parse("year").unwrap() } else { Unit::seconds(1 + u32::from(*key)).unwrap() },
            algorithm,
            burst: if requests == 0 { 0 } else { requests + 2 },
        };
        let name = format!("{run}|{key}|{algorithm:?}");
        let window = |buffer: &mut Vec<u8>| Keys::default().write_window(buffer, &limit, now);
        batch.push(limit, hits, *weight, |buffer| buffer.extend_from_slice(name.as_bytes()), window);
    }
    batch
}

/// What the small script is for, on keys that the whole one writes too.
fn only_slides((_, algorithm, hits, weight): &mut Charged) {
    (*algorithm, *hits) = (1, hits.abs().max(1));
    if matches!(weight, Weight::Spare | Weight::Looks) {
        *weight = Weight::Counts;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_count_as_the_embedded_store_does() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    let handle = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
        let run = std::cell::Cell::new(0);
        let strategy = (batches(), any::<bool>(), any::<bool>());
        runner
            .run(&strategy, |(steps, strict, slides)| {
                run.set(run.get() + 1);
                let counting = if strict { Counting::AllOrNothing } else { Counting::CountAll };
                let memory = Memory::new(1000);
                let mut now = NOW;
                for (pause, mut charges) in steps {
                    now += pause;
                    if slides && pause % 3 > 0 {
                        charges.iter_mut().for_each(only_slides);
                    }
                    let batch = batch(run.get(), now, counting, &charges);
                    let there = handle.block_on(store.charge(&batch)).unwrap();
                    prop_assert_eq!(there, memory.charge(&batch));
                }
                Ok(())
            })
            .unwrap();
    })
    .await
    .unwrap();
    kit.shutdown.force();
}

#[tokio::test]
async fn values_that_are_no_counters_are_repaired_and_counted() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    let batch = batch(
        0,
        NOW,
        Counting::CountAll,
        &[(3, 0, 1, Weight::Refuses), (3, 1, 1, Weight::Refuses), (3, 2, 1, Weight::Refuses)],
    );
    let fixed = String::from_utf8(batch.windowed_key(&batch.charges()[0]).to_vec()).unwrap();
    for command in [
        ["SET", fixed.as_str(), "many"],
        ["LPUSH", "0|3|SlidingWindow", "a list"],
        ["SET", "0|3|TokenBucket", "-1:nan"],
    ] {
        server.command(&command).await.unwrap();
    }
    let used: Vec<u64> = store.charge(&batch).await.unwrap().iter().map(|reading| reading.used).collect();
    assert_eq!(used, [0, 0, 0]);
    assert_eq!(store.metrics.repaired.get(), 3);
    let used: Vec<u64> = store.charge(&batch).await.unwrap().iter().map(|reading| reading.used).collect();
    assert_eq!((used, store.metrics.repaired.get()), (vec![1, 1, 1], 3));
    kit.shutdown.force();
}

#[tokio::test]
async fn counters_do_not_stay_for_ever() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    store
        .charge(&batch(
            0,
            NOW,
            Counting::CountAll,
            &[(1, 0, 1, Weight::Refuses), (2, 1, 1, Weight::Refuses), (3, 2, 1, Weight::Refuses)],
        ))
        .await
        .unwrap();
    let keys = server.command(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys.lines().count(), 3);
    for key in keys.lines() {
        let left: i64 = server.command(&["PTTL", key]).await.unwrap().parse().unwrap();
        assert!((1..30_000).contains(&left), "{key}: {left}");
    }
    kit.shutdown.force();
}

#[test]
fn a_counter_is_told_its_end_until_redis_has_heard_it() {
    let ends = Ends::default();
    let batch = batch(0, NOW, Counting::CountAll, &[(1, 0, 1, Weight::Refuses)]);
    let groups = groups::of(&batch, |_| 0, |_| false);
    let hit = |answers: &[i64]| {
        let counts = Counts::of(&batch, &groups[0], &ends).unwrap();
        let answers: Vec<Value> = answers.iter().map(|answer| Value::Int(*answer)).collect();
        let left = counts.read(&answers, &mut SmallVec::from_elem(Raw::default(), 1)).unwrap();
        (counts.commands().len(), left.ends.len())
    };
    // It is told with the first hit, and not with the second.
    assert_eq!([hit(&[1, 1]), hit(&[2])], [(2, 0), (1, 0)]);
    // Redis has lost the counter; and nobody knows whether the end that it is told now arrives.
    assert_eq!([hit(&[1]), hit(&[2, 1]), hit(&[3])], [(1, 1), (2, 0), (1, 0)]);
}

/// What the plain commands do has to be what the script does, also where Redis has lost or spoiled a counter.
#[tokio::test]
async fn plain_counts_end_and_are_repaired() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    let batch = batch(
        0,
        NOW,
        Counting::CountAll,
        &[(1, 0, 1, Weight::Refuses), (2, 0, 4, Weight::Refuses), (1, 0, 2, Weight::Counts)],
    );
    let used =
        async || -> Vec<u64> { store.charge(&batch).await.unwrap().iter().map(|reading| reading.used).collect() };
    let keys = [0, 1].map(|index| String::from_utf8(batch.windowed_key(&batch.charges()[index]).to_vec()).unwrap());
    let lasting = async || {
        for key in &keys {
            let left: i64 = server.command(&["PTTL", key]).await.unwrap().parse().unwrap();
            assert!((1..30_000).contains(&left), "{key}: {left}");
        }
    };
    assert_eq!((used().await, used().await), (vec![0, 0, 1], vec![3, 4, 4]));
    lasting().await;
    let told = server.command(&["INFO", "commandstats"]).await.unwrap();
    assert!(told.contains("cmdstat_pexpire:calls=3,"), "{told}");
    server.command(&["FLUSHALL"]).await.unwrap();
    assert_eq!((used().await, used().await), (vec![0, 0, 1], vec![3, 4, 4]));
    lasting().await;
    let told = server.command(&["INFO", "commandstats"]).await.unwrap();
    assert!(told.contains("cmdstat_pexpire:calls=5,"), "{told}");
    for (value, repaired) in [("many", 1), ("-7", 2), ("9007199254740993", 3)] {
        server.command(&["SET", &keys[1], value]).await.unwrap();
        assert_eq!((used().await[1], store.metrics.repaired.get()), (0, repaired), "{value}");
        assert_eq!(used().await[1], 4);
        lasting().await;
    }
    kit.shutdown.force();
}

/// What the small script does has to be what the whole one does, also for clocks that differ and values that are no counters.
#[tokio::test]
async fn hits_of_sliding_windows_end_and_are_repaired() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    let memory = Memory::new(10);
    let key = "0|3|SlidingWindow";
    // Parts are of 200 ms: the clock steps back by some, and on until the first are forgotten.
    for (now, hits) in
        [(1000, 1), (1000, 2), (1700, 3), (400, 1), (2100, 1), (5100, 1), (5300, 12), (5300, 1), (9500, 1)]
    {
        let batch =
            batch(0, NOW + now, Counting::CountAll, &[(3, 1, hits, Weight::Refuses), (3, 1, 1, Weight::Counts)]);
        assert_eq!(store.charge(&batch).await.unwrap(), memory.charge(&batch), "{now}");
        let left: i64 = server.command(&["PTTL", key]).await.unwrap().parse().unwrap();
        assert!((1..30_000).contains(&left), "{now}: {left}");
    }
    let batch = batch(0, NOW, Counting::CountAll, &[(3, 1, 2, Weight::Refuses), (2, 1, 1, Weight::Refuses)]);
    let used = async || store.charge(&batch).await.unwrap()[0].used;
    let values = ["many", "1:2 3", ":", "1:2:3 4", "8500000000", "99999999999999999999:1"];
    for (value, repaired) in values.into_iter().zip([1, 1, 2, 2, 3, 4]) {
        server.command(&["SET", key, value]).await.unwrap();
        used().await;
        assert_eq!((used().await >= 2, store.metrics.repaired.get()), (true, repaired), "{value}");
    }
    server.command(&["DEL", key]).await.unwrap();
    server.command(&["LPUSH", key, "a list"]).await.unwrap();
    assert_eq!((used().await, used().await, store.metrics.repaired.get()), (0, 2, 5));
    kit.shutdown.force();
}

#[tokio::test]
async fn a_debt_is_kept_until_it_is_paid() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    for (name, requests, unit, hits, seconds) in [
        ("ten", 10, Unit::SECOND, 1000, 100..120),
        // The largest there are: what is owed is more than the script can tell a time of.
        ("large", u32::MAX, Unit::seconds(u32::MAX).unwrap(), 1 << 33, 8_589_930_000..8_589_950_000),
        ("slow", 1, Unit::seconds(u32::MAX).unwrap(), 1 << 33, (1 << 53) / 1000..(1 << 53) / 1000 + 20),
    ] {
        let limit = Limit { requests, unit, algorithm: Algorithm::TokenBucket, burst: requests };
        let mut batch = Batch::new(NOW, Counting::CountAll);
        batch.push(limit, hits, Weight::Refuses, |key| key.extend_from_slice(name.as_bytes()), |_| {});
        let memory = Memory::new(10);
        for _ in 0..3 {
            assert_eq!(store.charge(&batch).await.unwrap(), memory.charge(&batch), "{name}");
        }
        let left: u64 = server.command(&["PTTL", name]).await.unwrap().parse().unwrap();
        assert!(seconds.contains(&(left / 1000)), "{name}: {left}");
    }
    assert_eq!(store.metrics.repaired.get(), 0);
    kit.shutdown.force();
}

#[tokio::test]
async fn scripts_are_loaded_again_when_they_were_flushed() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let store = connected(&server, &kit).await;
    for algorithm in [1, 2] {
        let batch = batch(0, NOW, Counting::CountAll, &[(1, algorithm, 1, Weight::Refuses)]);
        store.charge(&batch).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert_eq!(store.charge(&batch).await.unwrap()[0].used, 1);
    }
    kit.shutdown.force();
}

#[tokio::test]
async fn pauses_grow_while_connections_are_of_no_use() {
    let (server, kit) = (Spec::new().start().await.unwrap(), kit());
    let rights = "ACL SETUSER default -incrby";
    server.command(&rights.split(' ').collect::<Vec<_>>()).await.unwrap();
    let store = connected_with(&server, &kit, RedisSettings { breaker_failures: 1, ..patient() }).await;
    let batch = batch(0, NOW, Counting::CountAll, &[(1, 0, 1, Weight::Refuses)]);
    let (begun, mut refused) = (Instant::now(), 0);
    // Each connection is good for one refused call. Five pauses are at least 25 + 50 + 100 + 200 + 400 ms.
    eventually("six connections", async || {
        refused += u32::from(store.charge(&batch).await == Err(Unanswered::All(Failure::Refused)));
        (refused >= 6).then_some(())
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_millis(775), "{:?}", begun.elapsed());
    assert_eq!(store.metrics.store_seconds.get_sample_count(), u64::from(refused));
    kit.shutdown.force();
}

/// A way to a Redis on which a call that gives one hit back waits until it is let go.
async fn holding_back(redis: &testbed::redis::Redis) -> (SocketAddr, Arc<Notify>) {
    let (listener, go) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(Notify::new()));
    let (here, there, held) = (listener.local_addr().unwrap(), redis.address(), Arc::clone(&go));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut asks, mut hears) = client.into_split();
            let (mut answers, mut server) = TcpStream::connect(there).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut hears).await });
            let held = Arc::clone(&held);
            tokio::spawn(async move {
                let mut bytes = [0; 1 << 16];
                while let Ok(length @ 1..) = asks.read(&mut bytes).await {
                    if bytes[..length].windows(6).any(|word| word == b"\r\n-1\r\n") {
                        held.notified().await;
                    }
                    server.write_all(&bytes[..length]).await.unwrap();
                }
            });
        }
    });
    (here, go)
}

#[tokio::test]
async fn a_refusal_stands_when_giving_back_is_late() {
    let (all, quick, kit) = (Spec::new().start().await.unwrap(), Spec::new().start().await.unwrap(), kit());
    let (way, go) = holding_back(&quick).await;
    let settings = RedisSettings { per_second: Some(at(way)), deadline: Duration::from_secs(2), ..patient() };
    let store = connected_with(&all, &kit, settings).await;
    let mut batch = Batch::new(NOW, Counting::AllOrNothing);
    for (key, requests, unit) in [("quick", 5, Unit::SECOND), ("none", 0, Unit::MINUTE)] {
        let limit = Limit::fixed(requests, unit);
        batch.push(limit, 1, Weight::Refuses, |buffer| buffer.extend_from_slice(key.as_bytes()), |_| {});
    }
    // Half of the time is gone before it is known that the request is refused.
    all.command(&["CLIENT", "PAUSE", "1000"]).await.unwrap();
    let begun = Instant::now();
    let readings = store.charge(&batch).await.unwrap();
    assert_eq!(
        readings.iter().map(|reading| (reading.over, reading.after)).collect::<Vec<_>>(),
        [(false, 0), (true, 0)]
    );
    // The answer does not wait beyond the deadline, which is too late for Envoy; and then it is given back all the same.
    assert!((2000..2900).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(quick.command(&["GET", "quick"]).await.unwrap(), "1");
    go.notify_one();
    let given_back = async || (quick.command(&["GET", "quick"]).await.unwrap() == "0").then_some(());
    eventually("the hit to be given back", given_back).await;
    kit.shutdown.force();
}

#[tokio::test]
async fn what_is_not_answered_is_answered_for_and_the_rest_stands() {
    let (all, mut quick, kit) = (Spec::new().start().await.unwrap(), Spec::new().start().await.unwrap(), kit());
    let settings = RedisSettings { per_second: Some(at(quick.address())), ..patient() };
    let redis = connected_with(&all, &kit, settings).await;
    let metrics = Arc::clone(&redis.metrics);
    let fallback = Fallback::new(OnFailure::Local, 2, &metrics);
    let leases = Some(Leases::new(crate::store::Terms { share: 0.1, time: Duration::from_secs(3600) }, &metrics));
    let store = Store::Redis(Box::new(Remote { redis, fallback, leases }));
    quick.kill().unwrap();
    let charge = async |minute: u32, second: u32| {
        let mut batch = Batch::new(NOW, Counting::AllOrNothing);
        for (requests, unit) in [(minute, Unit::MINUTE), (second, Unit::SECOND)] {
            let name = format!("{requests} {unit}");
            batch.push(Limit::fixed(requests, unit), 1, Weight::Refuses, |key| key.extend(name.bytes()), |_| {});
        }
        let (readings, missing) = store.charge(&batch).await;
        assert_eq!(missing.as_slice(), [1]);
        [0, 1].map(|index: usize| (readings[index].over, readings[index].capacity, readings[index].after))
    };
    // Here half of the limit is counted, of the one that is not answered, and none of it is leased.
    for number in 1..=10 {
        let [minute, second] = charge(1000, 100).await;
        assert!(!minute.0 && minute.1 == 1000 && minute.2 >= number, "{minute:?}");
        assert_eq!(second, (false, 50, number));
    }
    // What is refused counts nowhere.
    assert_eq!(charge(0, 100).await, [(true, 0, 0), (false, 50, 10)]);
    assert_eq!(charge(1000, 100).await[1].2, 11);
    kit.shutdown.force();
}
