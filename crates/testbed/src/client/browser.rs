//! A browser, as far as logging in needs one: cookies as browsers keep them, and redirects.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::Url;

use super::{Request, Response};

/// A browser. Hosts that end in `.example` are the Envoy under test, whatever their scheme. It panics where a browser's user
/// would be stuck.
#[derive(Debug, Clone)]
pub struct Browser {
    edge: SocketAddr,
    /// By host (or `.domain`) and name.
    pub cookies: BTreeMap<(String, String), String>,
    /// Where it was led.
    pub visited: Vec<String>,
}

const MOST_REDIRECTS: usize = 12;

impl Browser {
    /// A browser without cookies.
    pub fn new(edge: SocketAddr) -> Self {
        Self { edge, cookies: BTreeMap::new(), visited: Vec::new() }
    }

    /// The cookies that go to a host.
    pub fn header(&self, host: &str) -> String {
        let goes = |to: &str| to == host || to.starts_with('.') && (host.ends_with(to) || host == &to[1..]);
        let of_host = self.cookies.iter().filter(|((to, _), _)| goes(to));
        of_host.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The names of the cookies of a host.
    pub fn names(&self, host: &str) -> Vec<&str> {
        self.cookies.keys().filter(|(to, _)| to == host).map(|(_, name)| name.as_str()).collect()
    }

    /// A request as for a page, without following anything.
    pub async fn get(&mut self, url: &str) -> Response {
        self.get_with(url, &[]).await
    }

    /// The same with more headers.
    pub async fn get_with(&mut self, url: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.request("GET", url).header("accept", "text/html,*/*;q=0.8");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{url}: {error:#}"));
        self.keep(url, &answer);
        answer
    }

    /// A request of any kind with the browser's cookies.
    pub fn request(&self, method: &str, url: &str) -> Request {
        let host = host(url);
        let inside = host.ends_with(".example");
        let mut request = Request::new(method.parse().expect("a method"), &url.replacen("https://", "http://", 1));
        if inside {
            request = request.to(self.edge);
        }
        let cookies = self.header(&host);
        if cookies.is_empty() { request } else { request.header("cookie", &cookies) }
    }

    /// Keeps the cookies of an answer, as browsers do.
    pub fn keep(&mut self, url: &str, answer: &Response) {
        let host = host(url);
        for cookie in answer.all("set-cookie") {
            let mut parts = cookie.split("; ");
            let (name, value) =
                parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie has name and value");
            let attributes: Vec<&str> = parts.collect();
            let domain = attributes.iter().find_map(|attribute| attribute.strip_prefix("Domain="));
            if name.starts_with("__Host-") {
                assert!(
                    domain.is_none() && attributes.contains(&"Secure") && attributes.contains(&"Path=/"),
                    "{cookie}"
                );
            }
            if host.ends_with(".example") {
                assert!(attributes.contains(&"HttpOnly") && attributes.contains(&"SameSite=Lax"), "{cookie}");
                assert!(cookie.len() < 4096, "{cookie}");
            }
            let key = (domain.map_or_else(|| host.clone(), |domain| format!(".{domain}")), name.to_owned());
            let over = attributes
                .iter()
                .any(|attribute| attribute.eq_ignore_ascii_case("expires=Thu, 01 Jan 1970 00:00:00 GMT"));
            if over || attributes.contains(&"Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }

    /// Opens a page and follows where it leads.
    pub async fn open(&mut self, url: &str) -> Response {
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            let answer = self.get(&url).await;
            self.visited.push(url.clone());
            match target(&url, &answer) {
                Some(next) => url = next,
                None => return answer,
            }
        }
        panic!("it goes round in circles: {:?}", self.visited);
    }

    /// Goes to a page up to the point where a URL begins so, and gives that URL without going there.
    pub async fn until(&mut self, url: &str, beginning: &str) -> String {
        let mut url = url.to_owned();
        for _ in 0..MOST_REDIRECTS {
            if url.starts_with(beginning) {
                return url;
            }
            let answer = self.get(&url).await;
            url = target(&url, &answer).unwrap_or_else(|| panic!("{url} answers {} {}", answer.status, answer.text()));
        }
        panic!("it goes round in circles");
    }
}

/// Where an answer leads.
pub fn target(url: &str, answer: &Response) -> Option<String> {
    if !answer.status.is_redirection() {
        return None;
    }
    let location = answer.header("location").expect("who redirects says where to");
    let next = Url::parse(url).and_then(|url| url.join(location));
    Some(next.unwrap_or_else(|error| panic!("{location}: {error}")).into())
}

fn host(url: &str) -> String {
    let parsed = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    parsed.host_str().expect("pages have a host").to_owned()
}
