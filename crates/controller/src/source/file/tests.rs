//! The source against real files.

use std::{fs, path::Path, sync::Arc, time::Duration};

use api::Stored;
use tempfile::TempDir;

use super::*;
use crate::source::Severity;

fn service(name: &str, port: u16) -> String {
    format!("---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  ports:\n  - port: {port}\n")
}

fn port(seen: &Seen, name: &str) -> Option<i32> {
    let service = seen.resources.services.get("default", name)?;
    Some(service.spec.as_ref()?.ports.as_ref()?[0].port)
}

fn problems(seen: &Seen, dir: &Path) -> Vec<String> {
    seen.problems.iter().map(|problem| problem.to_string().replace(&format!("{}/", dir.display()), "")).collect()
}

/// A reader of a directory with these files.
fn reader(files: &[(&str, String)]) -> (TempDir, Reader) {
    let dir = TempDir::new().unwrap();
    for (name, text) in files {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut reader = Reader::new(vec![dir.path().to_owned()]);
    reader.look_at_all();
    (dir, reader)
}

/// Writes a file and reads it, losses included.
fn rewrite(dir: &TempDir, reader: &mut Reader, name: &str, text: &str) -> Seen {
    fs::write(dir.path().join(name), text).unwrap();
    reader.look_at(&dir.path().join(name), false);
    settle(reader);
    reader.seen()
}

fn settle(reader: &mut Reader) {
    while let Some(at) = reader.look_again() {
        reader.look_at_doubted(at, |_| false);
    }
}

#[test]
fn all_manifests_below_a_directory_are_read() {
    let (_dir, reader) = reader(&[
        ("a.yaml", service("a", 1)),
        ("deep/er/b.yml", service("b", 2)),
        (
            "c.json",
            r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}, "spec": {"ports": [{"port": 3}]}}"#
                .to_owned(),
        ),
        (".hidden.yaml", service("d", 4)),
        ("notes.txt", "no manifest".to_owned()),
    ]);
    let seen = reader.seen();
    let names: Vec<_> = seen.resources.services.iter().map(|service| service.name().to_owned()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(*seen.problems, []);
}

#[test]
fn the_last_good_version_of_a_bad_document_stays() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1) + &service("b", 2))]);
    let text = service("a", 7) + &service("b", 2).replace("port: 2", "port: two");
    let seen = rewrite(&dir, &mut reader, "a.yaml", &text);
    assert_eq!((port(&seen, "a"), port(&seen, "b")), (Some(7), Some(2)));
    let found = problems(&seen, dir.path());
    assert!(found[0].starts_with("a.yaml:16: Service default/b: spec.ports[0].port: "), "{found:?}");
    let seen = rewrite(&dir, &mut reader, "a.yaml", &(service("a", 7) + &service("b", 3)));
    assert_eq!((port(&seen, "b"), seen.problems.len()), (Some(3), 0));
}

#[test]
fn a_document_that_is_no_yaml_does_not_take_others_with_it() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1) + &service("b", 2) + &service("c", 3))]);
    let text = service("a", 8) + "---\nkind: Service\n  metadata: [\n" + &service("c", 9);
    let seen = rewrite(&dir, &mut reader, "a.yaml", &text);
    assert_eq!((port(&seen, "a"), port(&seen, "b"), port(&seen, "c")), (Some(8), Some(2), Some(9)));
    assert_eq!(seen.problems.len(), 1);
    let seen = rewrite(&dir, &mut reader, "a.yaml", &(service("a", 8) + &service("c", 9)));
    assert_eq!((port(&seen, "b"), seen.problems.len()), (None, 0));
}

#[test]
fn the_second_of_two_documents_of_one_name_is_refused_with_both_places() {
    let (dir, mut reader) = reader(&[("b.yaml", service("x", 2)), ("c.yaml", service("z", 1) + &service("z", 5))]);
    let found = problems(&reader.seen(), dir.path());
    assert!(found[0].starts_with("c.yaml:10: Service default/z: is defined twice; "), "{found:?}");
    let seen = rewrite(&dir, &mut reader, "a.yaml", &service("x", 1));
    assert_eq!(port(&seen, "x"), Some(1));
    let found = problems(&seen, dir.path());
    assert_eq!(
        found[0],
        "b.yaml:2: Service default/x: is defined twice; a.yaml:2 counts and this one does not, remove or rename one of them"
    );
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    reader.look_at_all();
    settle(&mut reader);
    assert_eq!(port(&reader.seen(), "x"), Some(2));
}

#[test]
fn a_file_that_vanished_takes_its_resources_with_it() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1)), ("b.yaml", service("b", 1))]);
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    reader.look_at_all();
    settle(&mut reader);
    assert_eq!((port(&reader.seen(), "a"), port(&reader.seen(), "b")), (None, Some(1)));
}

#[test]
fn an_emptied_file_is_looked_at_again_before_its_resources_go() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1))]);
    let path = dir.path().join("a.yaml");
    fs::write(&path, "").unwrap();
    assert!(!reader.look_at(&path, true));
    assert_eq!(port(&reader.seen(), "a"), Some(1));
    fs::write(&path, service("a", 2)).unwrap();
    assert!(reader.look_at(&path, false));
    assert_eq!((port(&reader.seen(), "a"), reader.look_again()), (Some(2), None));
}

#[test]
fn generations_grow_with_the_spec_and_only_with_it() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1))]);
    let generation = |seen: &Seen| seen.resources.services.get("default", "a").unwrap().generation();
    assert_eq!(generation(&reader.seen()), 1);
    assert_eq!(generation(&rewrite(&dir, &mut reader, "a.yaml", &service("a", 2))), 2);
    let labelled = service("a", 2).replace("name: a", "name: a\n  labels: {team: shop}");
    let seen = rewrite(&dir, &mut reader, "a.yaml", &labelled);
    assert_eq!(*seen.problems, []);
    assert_eq!(generation(&seen), 2);
    assert_eq!(seen.resources.services.get("default", "a").unwrap().label("team"), Some("shop"));
    rewrite(&dir, &mut reader, "a.yaml", "");
    assert_eq!(generation(&rewrite(&dir, &mut reader, "a.yaml", &service("a", 3))), 3);
}

#[test]
fn namespaces_that_are_used_are_implied() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1).replace("name: a", "name: a\n  namespace: shop"))]);
    let label = |seen: &Seen, key: &str| {
        seen.resources.namespaces.get("", "shop").and_then(|ns| ns.label(key).map(str::to_owned))
    };
    assert_eq!(label(&reader.seen(), "kubernetes.io/metadata.name").as_deref(), Some("shop"));
    let seen = rewrite(
        &dir,
        &mut reader,
        "ns.yaml",
        "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: x}}}",
    );
    assert_eq!(label(&seen, "team").as_deref(), Some("x"));
    let seen = rewrite(&dir, &mut reader, "ns.yaml", "");
    assert_eq!((label(&seen, "team"), seen.resources.namespaces.len()), (None, 1));
    assert_eq!(rewrite(&dir, &mut reader, "a.yaml", "").resources.namespaces.len(), 0);
}

#[test]
fn an_unchanged_document_is_not_parsed_again() {
    let (dir, mut reader) = reader(&[("a.yaml", service("a", 1) + &service("b", 1))]);
    let before = Arc::clone(reader.seen().resources.services.get("default", "b").unwrap());
    let seen = rewrite(&dir, &mut reader, "a.yaml", &(service("new", 1) + &service("a", 2) + &service("b", 1)));
    assert!(Arc::ptr_eq(&before, seen.resources.services.get("default", "b").unwrap()));
}

#[test]
fn aliases_do_not_multiply_without_end() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"].iter().map(|pair| pair.split_at(1)) {
        bomb += &format!("{next}: &{next} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]\n");
    }
    let (dir, reader) = reader(&[("bomb.yaml", bomb), ("a.yaml", service("a", 1))]);
    assert_eq!(reader.seen().problems[0].severity, Severity::Error);
    assert!(problems(&reader.seen(), dir.path())[0].starts_with("bomb.yaml"));
    assert_eq!(port(&reader.seen(), "a"), Some(1));
}

/// Changes files under a running source and waits until it says so.
async fn live(change: impl FnOnce(&Path), wanted: impl Fn(&Seen) -> bool) -> Duration {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("a.yaml"), service("a", 1)).unwrap();
    let source = FileSource::start(vec![dir.path().to_owned()]).unwrap();
    let mut seen = source.seen();
    assert_eq!(port(&seen.borrow(), "a"), Some(1));
    let started = Instant::now();
    change(dir.path());
    tokio::time::timeout(Duration::from_secs(30), seen.wait_for(wanted)).await.unwrap().unwrap();
    started.elapsed()
}

#[tokio::test]
async fn changes_are_live_at_once() {
    let is = |wanted| move |seen: &Seen| port(seen, "a") == Some(wanted);
    let gone = |seen: &Seen| port(seen, "a").is_none();
    let two = |dir: &Path| fs::write(dir.join("a.yaml"), service("a", 2)).unwrap();
    let renamed = |dir: &Path| {
        fs::write(dir.join(".a.swp"), service("a", 3)).unwrap();
        fs::rename(dir.join(".a.swp"), dir.join("a.yaml")).unwrap();
    };
    let removed = |dir: &Path| fs::remove_file(dir.join("a.yaml")).unwrap();
    let took = [live(two, is(2)).await, live(renamed, is(3)).await, live(removed, gone).await];
    assert!(took.iter().all(|took| *took < Duration::from_millis(300)), "{took:?}");
}

#[tokio::test]
async fn new_directories_and_swapped_links_are_seen() {
    let nested = |dir: &Path| {
        fs::create_dir_all(dir.join("new/er")).unwrap();
        fs::write(dir.join("new/er/b.yaml"), service("b", 1)).unwrap();
    };
    live(nested, |seen| port(seen, "b") == Some(1)).await;
    let swapped = |dir: &Path| {
        for (version, number) in [("..1", 1), ("..2", 2)] {
            fs::create_dir(dir.join(version)).unwrap();
            fs::write(dir.join(version).join("b.yaml"), service("b", number)).unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
        link("..1", "..data");
        link("..data/b.yaml", "b.yaml");
        link("..2", "..new");
        fs::rename(dir.join("..new"), dir.join("..data")).unwrap();
    };
    live(swapped, |seen| port(seen, "b") == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_vanishes_while_a_file_is_rewritten_fast() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.yaml");
    fs::write(&path, service("a", 1)).unwrap();
    let source = FileSource::start(vec![dir.path().to_owned()]).unwrap();
    let mut seen = source.seen();
    let writer =
        tokio::task::spawn_blocking(move || (2..=1000).for_each(|n| fs::write(&path, service("a", n)).unwrap()));
    loop {
        let now = port(&seen.borrow_and_update(), "a");
        assert!(now.is_some(), "the service vanished");
        if now == Some(1000) {
            break;
        }
        tokio::time::timeout(Duration::from_secs(30), seen.changed()).await.unwrap().unwrap();
    }
    writer.await.unwrap();
}

#[test]
fn one_changed_file_among_many_costs_the_work_of_one() {
    let files: Vec<_> = (0..2000).map(|n| (format!("{n}.yaml"), service(&format!("s{n}"), 1))).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let started = Instant::now();
    let (dir, mut reader) = reader(&files);
    let all = started.elapsed();
    let before = reader.seen();
    fs::write(dir.path().join("77.yaml"), service("s77", 2)).unwrap();
    let started = Instant::now();
    assert!(reader.look_at(&dir.path().join("77.yaml"), false));
    let after = reader.seen();
    assert!(started.elapsed() * 10 < all, "{:?} of {all:?}", started.elapsed());
    assert!(before.resources.gateways.same(&after.resources.gateways));
    assert_eq!(port(&after, "s77"), Some(2));
}

#[test]
fn a_file_read_again_is_as_one_read_for_the_first_time() {
    let texts = [
        vec![("b", 1), ("a", 1), ("c", 1)],
        vec![("c", 1), ("b", 1), ("a", 1)],
        vec![("d", 1), ("c", 1), ("a", 2), ("b", 1), ("aa", 1)],
        // Of two with one name the first counts, whichever of them was there before.
        vec![("a", 3), ("a", 2), ("d", 1), ("d", 1), ("c", 1)],
        vec![("a", 2), ("a", 3), ("c", 1)],
        vec![],
        vec![("c", 2), ("a", 2)],
    ];
    let (dir, mut again) = reader(&[]);
    for services in texts {
        let text: String = services.iter().map(|(name, port)| service(name, *port)).collect();
        let seen = rewrite(&dir, &mut again, "all.yaml", &text);
        let (first_dir, first) = reader(&[("all.yaml", text)]);
        let ports = |seen: &Seen| {
            let ports = ["a", "aa", "b", "c", "d"].map(|name| port(seen, name));
            (ports, seen.resources.services.len())
        };
        assert_eq!(ports(&seen), ports(&first.seen()), "{services:?}");
        assert_eq!(problems(&seen, dir.path()), problems(&first.seen(), first_dir.path()), "{services:?}");
    }
}
