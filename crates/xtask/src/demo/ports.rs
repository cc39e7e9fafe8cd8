//! The ports of the demo: asked for, or free ones.

use std::net::TcpListener;

use anyhow::{Context, Result, bail};
use clap::Args;

/// Where everything listens. Port 0 is any free one.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Ports {
    /// Port of the gateway.
    #[arg(long = "port", value_name = "PORT", default_value_t = 8888)]
    pub(super) gateway: u16,
    /// Port of the server's admin page.
    #[arg(long = "admin-port", value_name = "PORT", default_value_t = 19000)]
    pub(super) admin: u16,
    /// Port of the echo backend.
    #[arg(long = "backend-port", value_name = "PORT", default_value_t = 3000)]
    pub(super) backend: u16,
    /// Port of the rate limit service.
    #[arg(long = "rate-limit-port", value_name = "PORT", default_value_t = 8081)]
    pub(super) limits: u16,
    /// Port of the single sign-on service.
    #[arg(long = "login-port", value_name = "PORT", default_value_t = 9191)]
    pub(super) logins: u16,
    /// Port of the development identity provider.
    #[arg(long = "provider-port", value_name = "PORT", default_value_t = 9000)]
    pub(super) provider: u16,
    /// Port of the firewall.
    #[arg(long = "firewall-port", value_name = "PORT", default_value_t = 9291)]
    pub(super) firewall: u16,
    /// Port of the exporter, for Envoy.
    #[arg(long = "exporter-port", value_name = "PORT", default_value_t = 9391)]
    pub(super) exporter: u16,
    /// Port of the live page.
    #[arg(long = "page-port", value_name = "PORT", default_value_t = 9393)]
    pub(super) page: u16,
}

impl Ports {
    /// Free ports everywhere.
    pub(super) fn any() -> Self {
        Self { gateway: 0, admin: 0, backend: 0, limits: 0, logins: 0, provider: 0, firewall: 0, exporter: 0, page: 0 }
    }

    /// Makes sure that nobody listens there yet, and replaces 0 by a free port.
    pub(super) fn claim(self) -> Result<Self> {
        let (gateway, admin, backend, limits, logins, provider, firewall, exporter, page) = (
            claim("0.0.0.0", self.gateway, "the gateway", "--port")?,
            claim("127.0.0.1", self.admin, "the admin page", "--admin-port")?,
            claim("127.0.0.1", self.backend, "the backend", "--backend-port")?,
            claim("127.0.0.1", self.limits, "the rate limit service", "--rate-limit-port")?,
            claim("127.0.0.1", self.logins, "the single sign-on service", "--login-port")?,
            claim("127.0.0.1", self.provider, "the identity provider", "--provider-port")?,
            claim("127.0.0.1", self.firewall, "the firewall", "--firewall-port")?,
            claim("127.0.0.1", self.exporter, "the exporter", "--exporter-port")?,
            claim("127.0.0.1", self.page, "the live page", "--page-port")?,
        );
        // All were open at once, so that no port was given out twice; they close here.
        Ok(Self {
            gateway: port(&gateway)?,
            admin: port(&admin)?,
            backend: port(&backend)?,
            limits: port(&limits)?,
            logins: port(&logins)?,
            provider: port(&provider)?,
            firewall: port(&firewall)?,
            exporter: port(&exporter)?,
            page: port(&page)?,
        })
    }
}

fn claim(address: &str, port: u16, what: &str, flag: &str) -> Result<TcpListener> {
    match TcpListener::bind((address, port)) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} of {what} is in use; choose another one with {flag} PORT")
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot use port {port} for {what}; choose another one with {flag} PORT")),
    }
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_its_flag() {
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = Ports { admin: busy.local_addr().unwrap().port(), ..Ports::any() };
        let error = ports.claim().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("port {} of the admin page is in use; choose another one with --admin-port PORT", ports.admin)
        );
    }

    #[test]
    fn free_ports_differ() {
        let ports = Ports::any().claim().unwrap();
        assert!(ports.gateway != 0 && ports.gateway != ports.admin && ports.admin != ports.backend);
    }
}
