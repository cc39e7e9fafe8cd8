//! The ledger as its readers see it.

use super::*;

fn record(id: StreamId, group: &str, acked: Option<u64>) -> StreamRecord {
    StreamRecord {
        id,
        node_id: format!("node-{}", id.0),
        group: Arc::from(group),
        protocol: Protocol::Delta,
        connected_since: SystemTime::UNIX_EPOCH,
        types: BTreeMap::new(),
        acked,
    }
}

#[test]
fn a_group_has_what_its_slowest_has() {
    let book = LedgerBook::default();
    let acked = |group: &str| book.watch().borrow().acked(group);
    assert_eq!(acked("g"), None, "nobody is connected");
    let (one, two) = (book.open(), book.open());
    book.write(record(one, "g", Some(7)));
    book.write(record(two, "h", Some(3)));
    assert_eq!((acked("g"), acked("h")), (Some(7), Some(3)));
    book.write(record(two, "g", None));
    assert_eq!(acked("g"), None);
    book.write(record(two, "g", Some(5)));
    assert_eq!(acked("g"), Some(5));
    book.close(two);
    assert_eq!(acked("g"), Some(7));
}

#[test]
fn only_changes_wake_readers() {
    let book = LedgerBook::default();
    let id = book.open();
    book.write(record(id, "g", None));
    let mut watch = book.watch();
    watch.borrow_and_update();
    book.write(record(id, "g", None));
    assert!(!watch.has_changed().unwrap());
    book.write(record(id, "g", Some(1)));
    assert!(watch.has_changed().unwrap());
}

#[test]
fn rejections_are_listed_by_group() {
    let book = LedgerBook::default();
    let id = book.open();
    let rejection =
        Rejection { version: Version::of(b""), revision: 4, message: Arc::from("no"), at: SystemTime::UNIX_EPOCH };
    let rejected = BTreeMap::from([(Name::from("r"), rejection)]);
    let types = BTreeMap::from([(TypeUrl::from(type_url::ROUTE), TypeRecord { rejected, ..TypeRecord::default() })]);
    book.write(StreamRecord { types, ..record(id, "g", None) });
    let ledger = book.watch().borrow().clone();
    let found: Vec<_> = ledger.rejections("g").map(|(url, name, why)| (&**url, &**name, &*why.message)).collect();
    assert_eq!(found, [(type_url::ROUTE, "r", "no")]);
    assert_eq!(ledger.rejections("h").count(), 0);
}

#[test]
fn a_revision_is_answered_when_each_of_all_types_is() {
    let answered = |revisions: [Option<u64>; 4]| {
        let types = [type_url::CLUSTER, type_url::LISTENER, type_url::SCOPED_ROUTE, type_url::ROUTE];
        let types = types.into_iter().zip(revisions);
        let types = types.map(|(url, answered)| (TypeUrl::from(url), TypeRecord { answered, ..TypeRecord::default() }));
        StreamRecord { types: types.collect(), ..record(StreamId(1), "g", None) }
    };
    let of = |records: Vec<StreamRecord>| records.into_iter().collect::<Ledger>().answered("g");
    assert_eq!(of(vec![]), None);
    assert_eq!(of(vec![answered([Some(4), Some(7), Some(5), Some(6)])]), Some(4));
    assert_eq!(of(vec![answered([None, Some(7), Some(5), Some(6)])]), None);
    let slow = StreamRecord { id: StreamId(2), ..answered([Some(9), Some(9), Some(9), Some(2)]) };
    assert_eq!(of(vec![answered([Some(4), Some(7), Some(5), Some(6)]), slow]), Some(2));
}
