//! The controller's configuration file: read, checked, and turned into the settings of each part.

use std::{path::Path, sync::Arc};

use api::config::{Component, Encoder, EnvoyGateway, ExtensionApis, Logging, RateLimit, SingleSignOn};
use kit::{
    config::{Error, Finding, read_text, single},
    telemetry::{Format, Level, LogSettings},
};

use crate::{
    authority::{RATE_LIMIT_NAME, SINGLE_SIGN_ON_NAME},
    infra::kube::render::RATE_LIMIT_PORT,
    install, pipeline,
};

/// Where Envoys ask the single sign-on service, unless it is said.
pub(crate) const SINGLE_SIGN_ON_PORT: u16 = 9191;

/// Reads and checks a configuration.
///
/// # Errors
/// The file cannot be read, or something in it is wrong: with file, line, field and what is allowed.
pub fn load(path: &Path) -> Result<EnvoyGateway, Error> {
    let document = single(&path.display().to_string(), &read_text(path)?)?;
    let (config, unknown) = document.read::<EnvoyGateway>()?;
    if let Some(finding) = unknown.into_iter().next() {
        return Err(finding.into());
    }
    match config.validate().first() {
        None => Ok(config),
        Some(found) => {
            let (field, what) = found.split_once(": ").unwrap_or(("", found));
            Err(document.finding(field, what).into())
        }
    }
}

/// The error of a field that is right in itself and wrong on this machine.
pub fn wrong_here(path: &Path, field: &str, what: String) -> Error {
    let document = read_text(path).ok().and_then(|text| single(&path.display().to_string(), &text).ok());
    let finding = match document {
        Some(document) => document.finding(field, what),
        None => Finding { file: path.display().to_string().into(), at: None, field: field.to_owned(), what },
    };
    finding.into()
}

/// What the configuration decides of translation. `addresses` are those at which Envoys can be reached.
pub fn pipeline_settings(config: &EnvoyGateway, addresses: Vec<std::net::IpAddr>) -> pipeline::Settings {
    let translate = translate::Options {
        controller_name: config.gateway.controller_name.clone(),
        enable_backend: config.extension_apis.enable_backend,
        in_pod: false,
        default_proxy: config.envoy_proxy.clone().map(Arc::new),
        addresses,
        rate_limit_service: config
            .rate_limit
            .as_ref()
            .and_then(|limit| rate_limit_service(limit, Some(install::NAMESPACE))),
        single_sign_on: config
            .single_sign_on
            .as_ref()
            .and_then(|service| single_sign_on(service, Some(install::NAMESPACE))),
        serves_all_logins: config.single_sign_on.as_ref().is_some_and(SingleSignOn::serves_all),
        check_bootstrap: Some(|gateway| lower::check_bootstrap(gateway).map_err(|error| error.to_string())),
    };
    let mut lower = lower::Settings::default();
    if let Some(rate_limit) = &config.rate_limit {
        lower.rate_limit.fail_closed = rate_limit.fail_closed;
        // It was found to be a duration when the configuration was read.
        if let Some(Ok(timeout)) = rate_limit.timeout.as_ref().map(api::ext::Duration::parse) {
            lower.rate_limit.timeout = timeout;
        }
    }
    pipeline::Settings { translate, lower }
}

/// Where the rate limit service is: where others run it, or in our namespace. `None` for that where we run nothing.
pub fn rate_limit_service(config: &RateLimit, namespace: Option<&str>) -> Option<translate::ServiceAddress> {
    let by_others = config.service.as_ref().map(|service| translate::ServiceAddress {
        host: service.host.clone(),
        port: service.port,
        certified_name: None,
    });
    by_others.or_else(|| {
        config.backend.as_ref().zip(namespace).map(|(_, namespace)| translate::ServiceAddress {
            host: format!("{RATE_LIMIT_NAME}.{namespace}.svc"),
            port: RATE_LIMIT_PORT,
            certified_name: Some(RATE_LIMIT_NAME.to_owned()),
        })
    })
}

/// Where the single sign-on service is: where it's said, or in our namespace.
pub fn single_sign_on(config: &SingleSignOn, namespace: Option<&str>) -> Option<translate::ServiceAddress> {
    let said = config.service.as_ref().map(|service| translate::ServiceAddress {
        host: service.host.clone(),
        port: service.port,
        certified_name: None,
    });
    said.or_else(|| {
        namespace.map(|namespace| translate::ServiceAddress {
            host: format!("{SINGLE_SIGN_ON_NAME}.{namespace}.svc"),
            port: SINGLE_SIGN_ON_PORT,
            certified_name: Some(SINGLE_SIGN_ON_NAME.to_owned()),
        })
    })
}

/// The configuration of commands that work offline without one: all extension APIs are on.
pub fn offline() -> EnvoyGateway {
    EnvoyGateway { extension_apis: ExtensionApis::ALL, ..EnvoyGateway::default() }
}

/// The log settings that a configuration asks for.
pub fn log_settings(logging: &Logging) -> LogSettings {
    let mut settings = LogSettings::default();
    settings.level.default = level(logging.level(Component::Default));
    for component in Component::ALL {
        for target in targets(component) {
            settings.level.components.insert((*target).to_owned(), level(logging.level(component)));
        }
    }
    // It tells of every answer that is no success, such as of a kind that is not served: we say what matters of it.
    settings.level.components.insert("kube_client".to_owned(), Level::Off);
    settings.format = match logging.encoder {
        Encoder::Text => Format::Text,
        Encoder::JSON => Format::Json,
    };
    settings
}

/// The modules of a component.
fn targets(component: Component) -> &'static [&'static str] {
    match component {
        Component::Provider => {
            &["controller::source", "controller::status_writer", "controller::leader", "controller::api_server"]
        }
        Component::GatewayApi => &["translate", "controller::engine"],
        Component::XdsTranslator => &["lower"],
        Component::XdsServer => &["xds", "controller::nack"],
        Component::Xds => &["xds::cache"],
        Component::Infrastructure => &["controller::infra"],
        Component::GlobalRateLimit => &["controller::services"],
        Component::Default => &[],
    }
}

fn level(level: api::config::Level) -> Level {
    match level {
        api::config::Level::Trace => Level::Trace,
        api::config::Level::Debug => Level::Debug,
        api::config::Level::Info => Level::Info,
        api::config::Level::Warn => Level::Warn,
        api::config::Level::Error => Level::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        load(&path).unwrap_err().to_string().replace(&format!("{}/", dir.path().display()), "")
    }

    const HEAD: &str = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyGateway\n";

    #[test]
    fn an_unknown_field_is_named_with_its_line_and_what_is_allowed() {
        let text = error(&format!("{HEAD}provider:\n  type: Custom\n  costum: {{}}\n"));
        assert!(text.starts_with("c.yaml:5:3: provider.costum: unknown field `costum`, allowed: "), "{text}");
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_with_its_line() {
        let text = error(&format!("{HEAD}gateway:\n  controllerName: nothing\n"));
        assert!(text.starts_with("c.yaml:4:3: gateway.controllerName: "), "{text}");
    }

    #[test]
    fn levels_are_by_component() {
        let logging = Logging {
            level: [
                (Component::Default, api::config::Level::Warn),
                (Component::Infrastructure, api::config::Level::Debug),
            ]
            .into(),
            ..Logging::default()
        };
        let settings = log_settings(&logging);
        assert_eq!(settings.level.default, Level::Warn);
        assert_eq!(settings.level.components["controller::infra"], Level::Debug);
    }
}
