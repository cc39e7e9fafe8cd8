//! Where the configuration comes from: the service's own file, and profiles of a control plane. Either may change at any time.
//!
//! ```text
//! file ─────────────────┐
//!                       ├─▶ Settings ─▶ Runtime ─▶ in force, or the reason why not
//! xDS (one a policy) ───┘
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use envoy::Any;
use envoy::core::TypedExtensionConfig;
use envoy::type_url::{EXTENSION_CONFIG, STRUCT};
use kit::Kit;
use kit::health::Gate;
use kit::tasks::BoxError;
use xds::client::Wish;

use crate::provider::Provider;
use crate::runtime::Runtime;
use crate::service::Service;
use crate::settings::{Delivered, Settings};

const WISH: Wish = Wish { what: "profiles", service: "oidc", type_url: EXTENSION_CONFIG };

/// Profiles of a control plane, by name.
type Profiles = BTreeMap<String, Delivered>;

/// The configuration in force, by where it came from.
pub(crate) struct Configured {
    kit: Kit,
    service: Arc<Service>,
    sources: Mutex<Sources>,
}

#[derive(Clone)]
struct Sources {
    file: Arc<Settings>,
    delivered: Arc<Profiles>,
    /// What was made of them: in force, or soon.
    made: Arc<Runtime>,
}

impl Configured {
    /// A service that runs with its file.
    pub(crate) fn new(kit: &Kit, file: &Arc<Settings>, service: &Arc<Service>) -> Self {
        let made = service.runtime.load_full();
        let sources = Mutex::new(Sources { file: Arc::clone(file), delivered: Arc::default(), made });
        Self { kit: kit.clone(), service: Arc::clone(service), sources }
    }

    /// Takes over another file. It goes before the profiles of policies: one that it does not allow any more is gone.
    pub(crate) fn take_file(self: &Arc<Self>, file: &Arc<Settings>) -> Result<(), String> {
        let left_out = |wrong: Vec<String>| {
            for line in wrong {
                tracing::error!("the configuration does not allow a policy's profile any more, it is left out: {line}");
            }
            Ok(())
        };
        self.change(|sources| sources.file = Arc::clone(file), left_out)
    }

    fn take_profiles(self: &Arc<Self>, delivered: Profiles) -> Result<(), String> {
        let refused = |wrong: Vec<String>| if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) };
        self.change(|sources| sources.delivered = Arc::new(delivered), refused)
    }

    /// Makes a change, unless what comes of it cannot be used: all of it or nothing. `judge` says what becomes of profiles that
    /// are wrong. It comes into force once new providers were asked what they publish, so that nobody meets one of which
    /// nothing is known yet.
    fn change(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Sources),
        judge: impl FnOnce(Vec<String>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut sources = self.sources();
        let mut next = sources.clone();
        change(&mut next);
        let (settings, wrong) = next.file.with_delivered(&next.delivered);
        judge(wrong)?;
        let made = Runtime::new(&Arc::new(settings), Some(&sources.made), &self.service.metrics);
        let (runtime, fresh) = made.map_err(|error| error.to_string())?;
        Runtime::start(&self.kit, &fresh);
        next.made = Arc::new(runtime);
        *sources = next;
        let (this, made) = (Arc::clone(self), Arc::clone(&sources.made));
        self.kit.tasks.spawn("new configuration", async move {
            learnt(&this.kit, &fresh).await;
            let sources = this.sources();
            // What was made of a later change has this one in it.
            if Arc::ptr_eq(&sources.made, &made) {
                this.service.runtime.store(made);
            }
            Ok::<(), BoxError>(())
        });
        Ok(())
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until providers were asked what they publish: who is ready can log people in and knows tokens, unless a provider is
/// down.
pub(crate) async fn learnt(kit: &Kit, providers: &[Arc<Provider>]) {
    let all = async {
        for provider in providers {
            provider.tried().await;
        }
    };
    kit.shutdown.unless_stopping(all).await;
}

/// Follows a control plane until the process stops; the gate opens with the first profiles.
pub(crate) async fn follow(
    kit: &Kit,
    settings: &xds::client::Settings,
    configured: &Arc<Configured>,
    gate: Gate,
) -> Result<(), BoxError> {
    let configured = Arc::clone(configured);
    let take = move |resources: &[Any]| {
        configured.take_profiles(profiles(resources)?)?;
        gate.open();
        Ok(())
    };
    xds::client::follow(kit, settings, WISH, take).await
}

/// The profiles of an answer. Each that cannot be read is an error that begins with its name.
fn profiles(resources: &[Any]) -> Result<Profiles, String> {
    let (mut profiles, mut wrong) = (Profiles::new(), Vec::new());
    for resource in resources {
        let config = envoy::unpack::<TypedExtensionConfig>(resource)
            .ok_or_else(|| format!("a resource of type {}", resource.type_url))?
            .map_err(|error| format!("a resource that cannot be read: {error}"))?;
        match profile(&config) {
            Ok(profile) => drop(profiles.insert(config.name, profile)),
            Err(what) => wrong.push(format!("{}: {what}", config.name)),
        }
    }
    if wrong.is_empty() { Ok(profiles) } else { Err(wrong.join("\n")) }
}

fn profile(config: &TypedExtensionConfig) -> Result<Delivered, String> {
    let content = config.typed_config.as_ref().ok_or_else(|| "it has no content".to_owned())?;
    if content.type_url != STRUCT {
        return Err(format!("its content is a {}", content.type_url));
    }
    let json = envoy::json::to_json(STRUCT, &content.value).map_err(|error| format!("it cannot be read: {error}"))?;
    kit::config::parse::<Delivered>("", &json.to_string())
        .map_err(|finding| format!("{} {}", finding.field, finding.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn resource(name: &str, content: &Value) -> Any {
        let value = envoy::json::from_json(STRUCT, content).unwrap();
        let content = Any { type_url: STRUCT.to_owned(), value };
        envoy::any(&TypedExtensionConfig { name: name.to_owned(), typed_config: Some(content) })
    }

    fn sound() -> Value {
        json!({
            "providers": {"ns/secret": {"issuer": "https://id.example", "clientId": "a", "clientSecret": "hush"}},
            "profile": {"providers": ["ns/secret"], "loginTimeout": "5m", "upstream": {"accessToken": true}},
        })
    }

    #[test]
    fn profiles_are_read_and_do_not_show_secrets() {
        let read = profiles(&[resource("ns/a", &sound())]).unwrap();
        assert!(read.contains_key("ns/a") && !format!("{read:?}").contains("hush"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut unknown = sound();
        unknown["profile"]["prividers"] = json!([]);
        let mut typed = sound();
        typed["providers"]["ns/secret"]["scopes"] = json!("email");
        let wrong = profiles(&[
            resource("ns/a", &sound()),
            resource("ns/b", &unknown),
            resource("ns/c", &typed),
            envoy::any(&TypedExtensionConfig { name: "ns/d".into(), typed_config: None }),
        ]);
        let wrong = wrong.unwrap_err();
        let lines: Vec<&str> = wrong.lines().collect();
        assert_eq!(lines.len(), 3, "{wrong}");
        assert!(lines[0].starts_with("ns/b: profile.prividers "), "{wrong}");
        assert!(lines[1].starts_with("ns/c: providers[\"ns/secret\"].scopes "), "{wrong}");
        assert!(lines[2].starts_with("ns/d: it has no content"), "{wrong}");
        let other = Any { type_url: STRUCT.to_owned(), value: Vec::new() };
        assert!(profiles(&[other]).unwrap_err().contains("google.protobuf.Struct"));
    }
}
