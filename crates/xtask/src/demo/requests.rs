//! The three requests of the quickstart: as curl lines to try, and as a check.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail};
use testbed::client::{Request, Response};

use super::ports::Ports;

/// One request, and what its answer should be.
struct Example {
    what: &'static str,
    host: &'static str,
    path: &'static str,
    status: u16,
    /// What the backend should have seen, if it is to see anything: path and a header.
    seen: Option<(&'static str, Option<(&'static str, &'static str)>)>,
}

const EXAMPLES: [Example; 3] = [
    Example {
        what: "the backend, by host name",
        host: "www.example.com",
        path: "/cats?color=grey",
        status: 200,
        seen: Some(("/cats?color=grey", None)),
    },
    Example {
        what: "a rewritten path and a header that the route adds",
        host: "www.example.com",
        path: "/hello/world",
        status: 200,
        seen: Some(("/world", Some(("x-greeting", "hello")))),
    },
    Example { what: "a host that no route has: 404", host: "other.example.com", path: "/", status: 404, seen: None },
];

impl Example {
    fn curl(&self, ports: Ports) -> String {
        format!("curl -i -H 'Host: {}' 'http://127.0.0.1:{}{}'", self.host, ports.gateway, self.path)
    }

    fn request(&self, ports: Ports) -> Request {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.gateway));
        Request::get(&format!("http://{}{}", self.host, self.path)).to(address).deadline(Duration::from_secs(5))
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

/// Whether the gateway gives the first answer.
pub(super) async fn serves(ports: Ports) -> bool {
    let first = &EXAMPLES[0];
    first.request(ports).send().await.is_ok_and(|answer| first.wrong(&answer).is_none())
}

/// Prints the requests for the reader to try.
pub(super) fn invite(ports: Ports) {
    println!("\nTry:");
    for example in &EXAMPLES {
        println!("\n  # {}\n  {}", example.what, example.curl(ports));
    }
}

/// Sends the requests, prints what came back, and says whether all of it was right.
pub(super) async fn check(ports: Ports) -> Result<()> {
    let mut wrong = 0;
    for example in &EXAMPLES {
        println!("\n# {}\n$ {}", example.what, example.curl(ports));
        let answer = example.request(ports).send().await?;
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
    if wrong > 0 { bail!("{wrong} of {} answers were wrong", EXAMPLES.len()) } else { Ok(()) }
}
