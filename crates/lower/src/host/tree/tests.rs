//! A tree chooses the route that the list would have chosen, for every path.

use std::sync::Arc;

use envoy::{
    Message,
    route::{RouteList, VirtualHost},
    xds_matcher::{
        Matcher,
        matcher::{MatcherTree, MatcherType, matcher_tree::TreeType, on_match},
    },
};
use ir::route::PathMatch;
use proptest::prelude::*;

use super::{plan::SHORT, *};
use crate::{
    kept::equal,
    route::{RouteOptions, encode as encode_route},
    testing::{forward, to},
};

/// What Envoy does with a route's path: exact, by elements, or (here only) "ends with" for a regular expression.
fn matches(matcher: &PathMatch, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    match matcher {
        PathMatch::Exact(exact) => path == exact,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(prefix.as_str())
            .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(end) => path.ends_with(end.as_str()),
    }
}

/// What Envoy does with a tree: the longest key that the path begins with, or what is for all others; then the list.
fn choose(matcher: &Matcher, path: &str) -> Option<String> {
    let Some(MatcherType::MatcherTree(tree)) = &matcher.matcher_type else { panic!("no tree") };
    let Some(TreeType::PrefixMatchMap(map)) = &tree.tree_type else { panic!("no map") };
    let key = map.map.keys().filter(|key| path.starts_with(key.as_str())).max_by_key(|key| key.len());
    let found = key.map(|key| &map.map[key]).or(matcher.on_no_match.as_deref())?;
    let Some(on_match::OnMatch::Action(action)) = &found.on_match else { panic!("no action") };
    let list: RouteList = envoy::unpack(action.typed_config.as_ref().unwrap()).unwrap().unwrap();
    let found = list.routes.into_iter().find(|route| matches(&of_envoy(route), path));
    found.map(|route| route.name)
}

fn of_envoy(route: &envoy::route::Route) -> PathMatch {
    use envoy::route::route_match::PathSpecifier;
    match route.r#match.as_ref().unwrap().path_specifier.as_ref().unwrap() {
        PathSpecifier::Path(path) => PathMatch::Exact(path.clone()),
        PathSpecifier::Prefix(_) => PathMatch::Prefix(String::new()),
        PathSpecifier::PathSeparatedPrefix(prefix) => PathMatch::Prefix(prefix.clone()),
        PathSpecifier::SafeRegex(regex) => PathMatch::Regex(regex.regex.clone()),
        other => panic!("{other:?}"),
    }
}

fn routes(matches: Vec<PathMatch>) -> Vec<Arc<Route>> {
    let route = |(order, path): (usize, PathMatch)| {
        let matcher = ir::Matcher { path, ..ir::Matcher::default() };
        Arc::new(to(&order.to_string(), matcher, forward("c")))
    };
    matches.into_iter().enumerate().map(route).collect()
}

/// Brings both up to date; the bytes of the tree, none if there is none.
fn update(memo: &mut TreeMemo, kept: &mut Kept<Route, Encoded>, routes: &[Arc<Route>]) -> Vec<u8> {
    let encode = |route: &Arc<Route>, _| encode_route(route, RouteOptions::default());
    if kept.update(routes.iter(), |route: &Route| &route.name, equal, encode) {
        memo.update(kept);
    }
    let mut bytes = Vec::new();
    assert_eq!(memo.put(kept, &mut bytes), !bytes.is_empty());
    bytes
}

fn fresh(routes: &[Arc<Route>]) -> Vec<u8> {
    update(&mut TreeMemo::default(), &mut Kept::default(), routes)
}

fn tree_of(routes: &[Arc<Route>]) -> Option<Matcher> {
    VirtualHost::decode(fresh(routes).as_slice()).unwrap().matcher
}

fn other(route: &Route, matcher: ir::Matcher, cluster: &str) -> Arc<Route> {
    Arc::new(to(&route.name, matcher, forward(cluster)))
}

#[test]
fn what_is_kept_is_never_seen() {
    let (mut memo, mut kept) = (TreeMemo::default(), Kept::default());
    let mut routes = routes(
        (0..200)
            .map(|number| PathMatch::Prefix(format!("/{number}")))
            .chain([PathMatch::Prefix(String::new())])
            .collect(),
    );
    let mut before = update(&mut memo, &mut kept, &routes);
    let mut changed = |routes: &[Arc<Route>]| {
        let after = update(&mut memo, &mut kept, routes);
        assert_eq!(after, fresh(routes));
        assert_ne!(after, before);
        before = after;
    };
    routes[7] = other(&routes[7], routes[7].matcher.clone(), "d");
    changed(&routes);
    routes[200] = other(&routes[200], routes[200].matcher.clone(), "d");
    changed(&routes);
    routes[8] = other(&routes[8], crate::testing::prefix("/other"), "c");
    changed(&routes);
    routes.remove(9);
    changed(&routes);
    routes[50..150].rotate_left(1);
    changed(&routes);
    routes.truncate(10);
    changed(&routes);
}

/// What is done to a list of routes, at a place of it.
#[derive(Clone, Debug)]
enum Edit {
    Action(String),
    Path(PathMatch),
    Insert(PathMatch),
    Remove,
    Move(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => "[a-z]".prop_map(Edit::Action),
        2 => path_match().prop_map(Edit::Path),
        1 => path_match().prop_map(Edit::Insert),
        1 => Just(Edit::Remove),
        2 => (0..300_usize).prop_map(Edit::Move),
    ]
}

fn apply(routes: &mut Vec<Arc<Route>>, place: usize, edit: Edit, number: usize) {
    let place = place % routes.len();
    match edit {
        Edit::Action(cluster) => routes[place] = other(&routes[place], routes[place].matcher.clone(), &cluster),
        Edit::Path(path) => {
            routes[place] = other(&routes[place], ir::Matcher { path, ..ir::Matcher::default() }, "c");
        }
        Edit::Insert(path) => {
            let matcher = ir::Matcher { path, ..ir::Matcher::default() };
            routes.insert(place, Arc::new(to(&format!("new {number}"), matcher, forward("c"))));
        }
        Edit::Remove => drop(routes.remove(place)),
        Edit::Move(to) => {
            let route = routes.remove(place);
            routes.insert(to % (routes.len() + 1), route);
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["a", "b", "ab", "é", "x1"], 1..5)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    prop_oneof![
        8 => path().prop_map(PathMatch::Exact),
        8 => path().prop_map(PathMatch::Prefix),
        1 => Just(PathMatch::Prefix(String::new())),
    ]
}

proptest! {
    #[test]
    fn bytes_do_not_depend_on_what_was_before(
        list in proptest::collection::vec(path_match(), SHORT..150),
        edits in proptest::collection::vec(proptest::collection::vec((0..300_usize, edit()), 1..12), 1..8),
    ) {
        let (mut memo, mut kept) = (TreeMemo::default(), Kept::default());
        let mut routes = routes(list);
        update(&mut memo, &mut kept, &routes);
        for (round, edits) in edits.into_iter().enumerate() {
            for (number, (place, edit)) in edits.into_iter().enumerate() {
                apply(&mut routes, place, edit, round * 100 + number);
            }
            let bytes = update(&mut memo, &mut kept, &routes);
            prop_assert_eq!(&bytes, &fresh(&routes));
            // Every length fits, and fields are in order: it is what the messages would be encoded to.
            prop_assert_eq!(&VirtualHost::decode(bytes.as_slice()).unwrap().encode_to_vec(), &bytes);
        }
    }

    #[test]
    fn the_choice_is_the_lists(
        list in proptest::collection::vec(path_match(), SHORT + 1..300),
        expressions in proptest::collection::vec((0..300_usize, prop_oneof!["a", "b", "x1"]), 0..3),
        asked in proptest::collection::vec((path(), proptest::sample::select(vec!["", "?a=/b", "/", "x"])), 50),
    ) {
        let mut list = list;
        for (place, end) in expressions {
            list.insert(place.min(list.len()), PathMatch::Regex(end));
        }
        let routes = routes(list);
        if let Some(tree) = tree_of(&routes) {
            for (path, more) in asked {
                let path = format!("{path}{more}");
                let expected = routes.iter().find(|route| matches(&route.matcher.path, &path)).map(|route| route.name.to_string());
                prop_assert_eq!(choose(&tree, &path), expected, "{}", path);
            }
        }
    }
}

#[test]
fn short_lists_and_lists_of_expressions_stay_lists() {
    let numbered = |count: usize| (0..count).map(|number| PathMatch::Exact(format!("/{number}")));
    assert!(tree_of(&routes(numbered(SHORT).collect())).is_none());
    assert!(tree_of(&routes(numbered(SHORT + 1).collect())).is_some());
    assert!(tree_of(&routes(vec![PathMatch::Exact("/same".to_owned()); 200])).is_none());
    let expressions = |count: usize| (0..count).map(|number| PathMatch::Regex(format!("/{number}")));
    assert!(tree_of(&routes(expressions(200).collect())).is_none());
    assert!(tree_of(&routes(numbered(200).chain(expressions(100)).collect())).is_none());
}

#[test]
fn buckets_are_short() {
    let list = (0..10_000)
        .map(|number| PathMatch::Prefix(format!("/service-{number}/api")))
        .chain([PathMatch::Prefix(String::new())]);
    let tree = tree_of(&routes(list.collect())).unwrap();
    let Some(MatcherType::MatcherTree(MatcherTree { tree_type: Some(TreeType::PrefixMatchMap(map)), .. })) =
        &tree.matcher_type
    else {
        panic!("no map")
    };
    let longest = map.map.values().map(|found| {
        let Some(on_match::OnMatch::Action(action)) = &found.on_match else { panic!("no action") };
        envoy::unpack::<RouteList>(action.typed_config.as_ref().unwrap()).unwrap().unwrap().routes.len()
    });
    assert!(longest.max().unwrap() <= SHORT + 1);
    assert!(map.map.len() < 2500, "{} buckets", map.map.len());
}
