//! Checks of people who are logged in and of programs with tokens, at a pace and as fast as they go. Prints figures as JSON for
//! `cargo xtask bench oidc`, and progress on standard error.
//!
//! ```text
//! checks of this process ─▶ portcullis-oidc ─▶ its memory · a Redis · cookies · a token's signature
//!                        └▶ a service that does nothing
//! ```

mod calls;
mod nothing;
mod service;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use calls::Caller;
use oidc::session::{Key, Memory, Session, Tokens};
use serde_json::{Value, json};
use service::{Service, Store};
use testbed::calls::{Load, is_wanted};

/// How long each figure is measured.
const TIME: Duration = Duration::from_secs(5);
/// Checks a second, of all connections together.
const PACE: f64 = 5000.0;
/// Connections, as an Envoy of so many workers has them.
const CONNECTIONS: u32 = 8;
/// People who are logged in.
const PEOPLE: usize = 100;
/// Sessions whose memory is measured.
const SESSIONS: u32 = 100_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != service::NOTHING).skip(1);
    if let Some(socket) = arguments.next() {
        return nothing::serve(socket.as_ref()).await;
    }
    let mut figures = Vec::new();
    for store in [Store::Nothing, Store::Memory, Store::Redis, Store::Cookie, Store::Bearer] {
        if is_wanted(store.name()) {
            figures.extend(measure(store).await?);
        }
    }
    if is_wanted("memory of a session") {
        eprintln!("  memory of {SESSIONS} sessions");
        figures.push(figure("memory of a session beside its tokens", memory()?, "bytes", Some(2048.0)));
    }
    println!("{}", Value::Array(figures));
    Ok(())
}

/// Checks at the pace, and then as fast as they go.
async fn measure(store: Store) -> Result<Vec<Value>> {
    eprintln!("  {}", store.name());
    let service = Service::start(store).await?;
    let people = Arc::new(service.log_in(PEOPLE).await?);
    let connect = |number| Caller::new(&service, &people, number);
    let load = Load { connections: CONNECTIONS, time: TIME, pace: Some(PACE) };
    load.warm(connect).await?;
    let run = async |load: Load| {
        let before = service.processor_time()?;
        let taken = load.run(connect).await?;
        let cost = (service.processor_time()? - before).as_secs_f64() / taken.count() * 1e6;
        anyhow::Ok((taken, cost))
    };
    let (paced, cost) = run(load).await?;
    let (peak, least) = run(Load { pace: None, ..load }).await?;
    let (times, in_memory) = (paced.times(), store == Store::Memory);
    let named = |what: &str, value, unit, target| figure(&format!("{what}: {}", store.name()), value, unit, target);
    Ok(vec![
        named("processor time of a check", cost, "µs", in_memory.then_some(30.0)),
        named("p50 at 5,000 checks a second", times.millis(0.5), "ms", None),
        named("p99 at 5,000 checks a second", times.millis(0.99), "ms", (store == Store::Redis).then_some(1.0)),
        named("checks a second at the peak", peak.rate(), "1/s", None),
        named("processor time of a check at the peak", least, "µs", in_memory.then_some(30.0)),
    ])
}

fn figure(name: &str, value: f64, unit: &str, target: Option<f64>) -> Value {
    json!({ "name": name, "value": value, "unit": unit, "peer": target, "ratio": target.map(|target| value / target) })
}

/// What a session costs the embedded store, with tokens of no length.
fn memory() -> Result<f64> {
    let gauge = prometheus::IntGauge::new("sessions", "sessions")?;
    let store = Memory::new(usize::try_from(SESSIONS)?, gauge);
    let resident = || testbed::proc::mebibytes("self", "VmRSS");
    let before = resident()?;
    for number in 0..SESSIONS {
        let mut claims = service::claims(number);
        // What every ID token has beside what it says of the person.
        for (name, value) in
            [("iss", "https://id.example.com"), ("aud", "edge"), ("nonce", "n-0S6_WzA2Mj-0123456789abcdef")]
        {
            claims[name] = value.into();
        }
        for name in ["exp", "iat", "auth_time"] {
            claims[name] = 1_800_000_000.into();
        }
        let session = Session {
            id: format!("session-{number:08}"),
            provider: Arc::from("main"),
            origin: Arc::from("0123456789abcdefghijkl"),
            subject: format!("person-{number}"),
            sid: Some(format!("sid-{number}")),
            claims: claims.as_object().cloned().unwrap_or_default(),
            tokens: Tokens::default(),
            created: 0,
            authenticated: 0,
        };
        store.create(Key::of(&number.to_string()), &session, 100, 1000, 0)?;
    }
    let after = resident()?;
    Ok((after - before) * f64::from(1 << 20) / f64::from(SESSIONS))
}
