//! What a request asks of the backend beyond an echo (the table in the module above).

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::State;

/// How to answer one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) status: StatusCode,
    pub(super) delay: Duration,
    pub(super) headers: HeaderMap,
}

impl Behaviour {
    pub(super) fn of(parts: &Parts, state: &State) -> Self {
        let ask = |name: &str| query(parts, name);
        let asked =
            parts.uri.path().strip_prefix("/status/").or_else(|| ask("status")).and_then(|code| code.parse().ok());
        let fails =
            ask("fail").and_then(|times| times.parse().ok()).is_some_and(|times| fails_still(parts, state, times));
        let standing = *state.status.lock().expect("no panic while held");
        let code = if fails { Some(503) } else { asked.or(standing) };
        let delay =
            ask("delay").and_then(duration).unwrap_or_else(|| *state.delay.lock().expect("no panic while held"));
        let status = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
        Self { status, delay, headers: headers_to_set(parts) }
    }
}

fn query<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = parts.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Counts the request, and says whether it is one of the first `times` with this path and query.
fn fails_still(parts: &Parts, state: &State, times: u32) -> bool {
    let key = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut failures = state.failures.lock().expect("no panic while held");
    let seen = failures.entry(key).or_default();
    *seen += 1;
    *seen <= times
}

/// `300ms` or `2s`.
fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

fn headers_to_set(parts: &Parts) -> HeaderMap {
    let asked = parts.headers.get_all("x-echo-set-header").into_iter().filter_map(|value| value.to_str().ok());
    let pairs = asked.flat_map(|value| value.split(',')).filter_map(|pair| pair.split_once(':'));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim())) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str, state: &State) -> Behaviour {
        let request = axum::http::Request::builder().uri(uri).header("x-echo-set-header", "a:1, b: x:y");
        Behaviour::of(&request.body(()).unwrap().into_parts().0, state)
    }

    #[test]
    fn a_request_can_ask_for_status_delay_and_headers() {
        let state = State::default();
        let behaviour = ask("/x?status=418&delay=2s", &state);
        assert_eq!(behaviour.status, 418);
        assert_eq!(behaviour.delay, Duration::from_secs(2));
        assert_eq!(behaviour.headers["a"], "1");
        assert_eq!(behaviour.headers["b"], "x:y");
        assert_eq!(ask("/status/404", &state).status, 404);
        assert_eq!(ask("/?delay=30ms", &state).delay, Duration::from_millis(30));
    }

    #[test]
    fn the_first_requests_fail_for_each_path_and_query() {
        let state = State::default();
        let statuses = |uri: &str| [ask(uri, &state).status, ask(uri, &state).status, ask(uri, &state).status];
        assert_eq!(statuses("/a?fail=2"), [503, 503, 200]);
        assert_eq!(statuses("/b?fail=1"), [503, 200, 200]);
    }
}
