//! `cargo xtask pictures`: the pictures of the live page in the guides, of real traffic through the demo.

mod png;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use testbed::chromium::Chromium;
use testbed::client::Request;
use testbed::wait::wait_until;

use super::house::House;
use super::ports::Ports;
use super::{START, built};
use crate::workspace::root;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask pictures                 docs/pictures/live-*.png, in two minutes
  cargo xtask pictures --into /tmp     to look at them before";

/// A shop, beside the routes of the quickstart.
const ROUTES: &str = include_str!("pictures/routes.yaml");
/// How long there is traffic before a picture is taken: the page shows the last minute.
const BEFORE: Duration = Duration::from_secs(66);
/// How often all requests are sent.
const PACE: Duration = Duration::from_millis(100);
/// The most that a picture may weigh, in bytes.
const HEAVIEST: usize = 150_000;

/// Where to put them.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory for the pictures [default: docs/pictures].
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// The cargo profile to build with.
    #[arg(long, default_value = "release")]
    profile: String,
}

/// What is seen in a picture: its name, width, height, colours, and whether a route is open.
const PICTURES: [(&str, u32, u32, &str, bool); 5] = [
    ("live-light", 1000, 900, "light", false),
    ("live-dark", 1000, 900, "dark", false),
    ("live-360-light", 360, 900, "light", false),
    ("live-360-dark", 360, 900, "dark", false),
    ("live-route", 1000, 760, "light", true),
];

/// Takes them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (programs, ports) = (built(&options.profile)?, Ports::any().claim()?);
    let into = options.into.clone().unwrap_or_else(|| root().join("docs/pictures"));
    fs::create_dir_all(&into)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut house = House::start_with(&programs.all(), ports, ROUTES)?;
        house.wait_until_it_serves(START).await?;
        let clients = [(); 2].map(|()| tokio::spawn(shoppers(ports)));
        let taken = take(ports, &into).await;
        clients.iter().for_each(tokio::task::JoinHandle::abort);
        house.stop().await.and(taken)
    })
}

async fn take(ports: Ports, into: &std::path::Path) -> Result<()> {
    let mut browser = Chromium::start(SocketAddr::from((Ipv4Addr::LOCALHOST, ports.gateway))).await?;
    browser.open(&format!("http://127.0.0.1:{}/", ports.page)).await?;
    let begin = Instant::now();
    let full = async || begin.elapsed() > BEFORE;
    wait_until("a minute of traffic", BEFORE * 2, full).await?;
    for (name, width, height, colours, of_route) in PICTURES {
        browser.look_as(width, height, colours).await?;
        if of_route {
            let open = "[...document.querySelectorAll('#routes .name')].find(one => one.textContent.includes('search')).click()";
            browser.evaluate(open).await;
            let there = async || {
                let filled = "document.getElementById('objectives').children.length > 0";
                browser.evaluate(filled).await == Some(true.into())
            };
            wait_until("the route's answers", testbed::PATIENCE, there).await?;
        }
        let picture = png::smaller(&browser.picture().await?)?;
        ensure!(picture.len() <= HEAVIEST, "{name} has {} bytes, allowed: {HEAVIEST}", picture.len());
        let file = into.join(format!("{name}.png"));
        fs::write(&file, &picture).with_context(|| format!("cannot write {}", file.display()))?;
        println!("wrote {} ({} kB)", file.display(), picture.len() / 1000);
    }
    Ok(())
}

/// Many honest customers, a few who are not, and shelves that do not answer.
async fn shoppers(ports: Ports) {
    let gateway = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.gateway));
    let mut pace = tokio::time::interval(PACE);
    for turn in 0_u32.. {
        pace.tick().await;
        let busy = 2 + (turn / 40) % 3;
        for request in round(turn, busy) {
            let (host, path, header) = request;
            let request = Request::get(&format!("http://{host}{path}")).to(gateway).deadline(Duration::from_secs(5));
            let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
            // What is refused is what the picture is of.
            tokio::spawn(async move { drop(request.send().await) });
        }
    }
}

type Asked = (&'static str, String, Option<(&'static str, &'static str)>);

/// What is asked for in one turn.
fn round(turn: u32, busy: u32) -> Vec<Asked> {
    const SHOP: &str = "shop.example.com";
    let mut round: Vec<Asked> = (0..busy).map(|item| (SHOP, format!("/cart?item={item}"), None)).collect();
    round.push((SHOP, format!("/search?delay={}ms", 20 + turn * 7 % 60), None));
    let every = |turns: u32, at: u32, asked: Asked| (turn % turns == at).then_some(asked);
    round.extend(
        [
            every(2, 0, ("www.example.com", "/cats".to_owned(), None)),
            every(100, 3, (SHOP, "/cart/checkout?status=503".to_owned(), None)),
            every(25, 5, (SHOP, "/search?delay=2s".to_owned(), None)),
            every(15, 7, (SHOP, "/stock/41".to_owned(), None)),
            every(12, 1, (SHOP, "/old/cart".to_owned(), None)),
            every(18, 9, ("www.example.com", "/".to_owned(), Some(("x-user", "ann")))),
            every(31, 11, ("www.example.com", "/cats?id=1%27%20OR%20%271%27%3D%271%27--%20-".to_owned(), None)),
            every(23, 13, ("localhost", "/account".to_owned(), Some(("accept", "text/html")))),
            every(37, 17, ("localhost", "/api/orders".to_owned(), Some(("accept", "application/json")))),
            every(41, 19, ("other.example.com", "/".to_owned(), None)),
        ]
        .into_iter()
        .flatten(),
    );
    round
}
