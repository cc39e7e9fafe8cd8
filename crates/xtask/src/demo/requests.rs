//! The requests of the quickstart: as curl lines to try, and as a check.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use testbed::client::{Request, Response};

use super::ports::Ports;

/// One request, and what its answer should be.
struct Example {
    what: &'static str,
    host: &'static str,
    path: &'static str,
    header: Option<(&'static str, &'static str)>,
    /// How often it is sent; the last answer counts.
    times: usize,
    status: u16,
    /// What the backend should have seen, if it is to see anything: path and a header.
    seen: Option<(&'static str, Option<(&'static str, &'static str)>)>,
}

const EXAMPLES: [Example; 6] = [
    Example {
        what: "the backend, by host name",
        host: "www.example.com",
        path: "/cats?color=grey",
        header: None,
        times: 1,
        status: 200,
        seen: Some(("/cats?color=grey", None)),
    },
    Example {
        what: "a rewritten path and a header that the route adds",
        host: "www.example.com",
        path: "/hello/world",
        header: None,
        times: 1,
        status: 200,
        seen: Some(("/world", Some(("x-greeting", "hello")))),
    },
    Example {
        what: "a host that no route has: 404",
        host: "other.example.com",
        path: "/",
        header: None,
        times: 1,
        status: 404,
        seen: None,
    },
    Example {
        what: "a user has three requests an hour, so the fourth is refused: 429",
        host: "www.example.com",
        path: "/",
        header: Some(("x-user", "ann")),
        times: 4,
        status: 429,
        seen: None,
    },
    Example {
        what: "a login is needed: 302 to the identity provider (in a browser, open localhost)",
        host: "localhost",
        path: "/",
        header: Some(("accept", "text/html")),
        times: 1,
        status: 302,
        seen: None,
    },
    Example {
        what: "an SQL injection, which the firewall refuses and says by which rule: 403",
        host: "www.example.com",
        path: "/cats?id=1%27%20OR%20%271%27%3D%271%27--%20-",
        header: None,
        times: 1,
        status: 403,
        seen: None,
    },
];

impl Example {
    fn curl(&self, ports: Ports) -> String {
        let header = self.header.map(|(name, value)| format!(" -H '{name}: {value}'")).unwrap_or_default();
        let curl =
            format!("curl -i -H 'Host: {}'{header} 'http://127.0.0.1:{}{}'", self.host, ports.gateway, self.path);
        if self.times > 1 { format!("for _ in $(seq {}); do {curl}; done", self.times) } else { curl }
    }

    fn request(&self, ports: Ports) -> Request {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.gateway));
        let request =
            Request::get(&format!("http://{}{}", self.host, self.path)).to(address).deadline(Duration::from_secs(5));
        self.header.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// The last answer; those before must not be refused.
    async fn send(&self, ports: Ports) -> Result<Response> {
        for _ in 1..self.times {
            let answer = self.request(ports).send().await?;
            ensure!(answer.status == 200, "refused too early: {}", answer.status);
        }
        self.request(ports).send().await
    }

    /// What is wrong with an answer.
    fn wrong(&self, answer: &Response) -> Option<String> {
        if answer.status != self.status {
            return Some(format!("wanted status {}, got {}", self.status, answer.status));
        }
        let (path, header) = self.seen?;
        let Ok(seen) = answer.echoed() else { return Some("the answer is not the backend's".to_owned()) };
        if seen.path != path {
            return Some(format!("the backend should have seen the path {path}, and saw {}", seen.path));
        }
        let (name, value) = header?;
        (seen.header(name) != Some(value)).then(|| format!("the backend should have seen {name}: {value}"))
    }
}

/// Whether the gateway gives the first answer, the rate limit service counts (it refuses somebody who asks again and again),
/// and the single sign-on service sends people to log in.
pub(super) async fn serves(ports: Ports) -> bool {
    let (first, login) = (&EXAMPLES[0], &EXAMPLES[4]);
    let eager = first.request(ports).header("x-user", "eager");
    first.request(ports).send().await.is_ok_and(|answer| first.wrong(&answer).is_none())
        && eager.send().await.is_ok_and(|answer| answer.status == 429)
        && login.request(ports).send().await.is_ok_and(|answer| answer.status == login.status)
}

/// Prints the requests for the reader to try.
pub(super) fn invite(ports: Ports) {
    println!("\nTry:");
    for example in &EXAMPLES {
        println!("\n  # {}\n  {}", example.what, example.curl(ports));
    }
}

/// Sends the requests, prints what came back, and says whether all of it was right. Gives how many were answered with which
/// status.
pub(super) async fn check(ports: Ports) -> Result<BTreeMap<u16, u64>> {
    let (mut wrong, mut sent) = (0, BTreeMap::new());
    for example in &EXAMPLES {
        println!("\n# {}\n$ {}", example.what, example.curl(ports));
        let answer = example.send(ports).await?;
        *sent.entry(200).or_default() += example.times as u64 - 1;
        *sent.entry(answer.status.as_u16()).or_default() += 1;
        println!("{:?} {}\n{}", answer.version, answer.status, answer.text());
        match example.wrong(&answer) {
            None => println!("→ as it should be"),
            Some(reason) => {
                wrong += 1;
                println!("→ WRONG: {reason}");
            }
        }
    }
    println!();
    if wrong > 0 { bail!("{wrong} of {} answers were wrong", EXAMPLES.len()) } else { Ok(sent) }
}
