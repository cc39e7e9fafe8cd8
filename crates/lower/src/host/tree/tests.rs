//! A tree chooses the route that the list would have chosen, for every path.

use std::sync::Arc;

use envoy::{
    route::VirtualHost,
    xds_matcher::{
        Matcher,
        matcher::{MatcherType, matcher_tree::TreeType},
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

fn update(memo: &mut TreeMemo, kept: &mut Kept<Route, Encoded>, routes: &[Arc<Route>]) -> Option<Matcher> {
    let encode = |route: &Arc<Route>, _| encode_route(route, RouteOptions::default());
    if let Some(change) = kept.update(routes.iter(), |route: &Route| &route.name, equal, encode) {
        memo.update(kept, &change);
    }
    let bound = memo.bound()?;
    let mut bytes = Vec::new();
    memo.put(&mut bytes);
    assert!(bytes.len() <= bound);
    VirtualHost::decode(bytes.as_slice()).unwrap().matcher
}

fn tree_of(routes: &[Arc<Route>]) -> Option<Matcher> {
    update(&mut TreeMemo::default(), &mut Kept::default(), routes)
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
    update(&mut memo, &mut kept, &routes);
    let mut changed = |routes: &[Arc<Route>]| assert_eq!(update(&mut memo, &mut kept, routes), tree_of(routes));
    let other = |route: &Arc<Route>, cluster: &str| Arc::new(to(&route.name, route.matcher.clone(), forward(cluster)));
    routes[7] = other(&routes[7], "d");
    changed(&routes);
    routes[200] = other(&routes[200], "d");
    changed(&routes);
    routes[8] = Arc::new(to("8", crate::testing::prefix("/other"), forward("c")));
    changed(&routes);
    routes.remove(9);
    changed(&routes);
    routes.truncate(10);
    changed(&routes);
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
