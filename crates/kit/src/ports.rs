//! The ports of a service, as its configuration has them: `grpc`, where Envoy asks, and `http`.

use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};

use crate::config::{Document, Finding};
use crate::grpc::{self, Routes};
use crate::incoming::Incoming;
use crate::kit::Kit;
use crate::lanes::Lanes;
use crate::net::{Address, Listener, Purpose};
use crate::reload::Reloading;
use crate::serve;
use crate::tasks::BoxError;
use crate::tls::{Protocols, ServerSettings, follow_server};

const GRPC: Purpose = Purpose { name: "grpc", setting: "the field grpc.address" };

const HTTP: Purpose = Purpose { name: "http", setting: "the field http.address" };

/// Where Envoy asks: the field `grpc`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default, bound(deserialize = ""))]
pub struct Grpc<const PORT: u16> {
    /// The address. Default `PORT` of all interfaces.
    pub address: Address,
    /// TLS; plain text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerSettings>,
    /// After how long a connection is asked to end (GOAWAY), so that clients spread over new services. Default 24h.
    #[serde(with = "crate::duration")]
    pub max_connection_age: Duration,
    /// The largest message, in bytes: a body that is held comes in one. Default 16 MiB.
    pub max_message: usize,
}

/// The HTTP port: the field `http`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default, bound(deserialize = ""))]
pub struct Http<const PORT: u16> {
    /// The address. Default `PORT` of all interfaces.
    pub address: Address,
    /// TLS; plain text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerSettings>,
}

impl<const PORT: u16> Default for Grpc<PORT> {
    fn default() -> Self {
        Self {
            address: everywhere(PORT),
            tls: None,
            max_connection_age: Duration::from_secs(86_400),
            max_message: 16 << 20,
        }
    }
}

impl<const PORT: u16> Default for Http<PORT> {
    fn default() -> Self {
        Self { address: everywhere(PORT), tls: None }
    }
}

fn everywhere(port: u16) -> Address {
    Address::Tcp(format!("0.0.0.0:{port}"))
}

impl<const PORT: u16> Grpc<PORT> {
    /// Finds what types cannot say.
    pub fn check(&self, document: &Document) -> Result<(), Finding> {
        if self.max_connection_age.is_zero() {
            return Err(document.finding("grpc.maxConnectionAge", "is 0, allowed: more than that, such as 24h"));
        }
        Ok(())
    }

    /// Serves as a task of the kit; returns once it listens.
    pub async fn serve(&self, kit: &Kit, routes: Routes) -> Result<(), BoxError> {
        let (listener, tls) = self.listen(kit).await?;
        let incoming = Incoming::start(listener, tls, &kit.shutdown);
        let (shutdown, age) = (kit.shutdown.clone(), self.max_connection_age);
        kit.tasks.spawn(GRPC.name, async move { grpc::serve_for(incoming, routes, &shutdown, age).await });
        Ok(())
    }

    /// The same in lanes: all that a request is, from its bytes to those of its answer, happens in the lane of its connection.
    pub async fn serve_in(&self, lanes: Lanes, kit: &Kit, routes: Routes) -> Result<(), BoxError> {
        let (listener, tls) = self.listen(kit).await?;
        let incoming = Incoming::start(listener, tls, &kit.shutdown);
        let (shutdown, age) = (kit.shutdown.clone(), self.max_connection_age);
        kit.tasks.spawn(GRPC.name, async move { grpc::serve_in(&lanes, incoming, routes, &shutdown, age).await });
        Ok(())
    }

    async fn listen(&self, kit: &Kit) -> Result<(Listener, Option<Reloading<ServerConfig>>), BoxError> {
        listen(kit, GRPC, &self.address, self.tls.as_ref(), Protocols::Http2).await
    }
}

impl<const PORT: u16> Http<PORT> {
    /// Serves as a task of the kit; returns once it listens.
    pub async fn serve(&self, kit: &Kit, router: Router) -> Result<(), BoxError> {
        let (listener, tls) = listen(kit, HTTP, &self.address, self.tls.as_ref(), Protocols::Http).await?;
        let (incoming, shutdown) = (Incoming::start(listener, tls, &kit.shutdown), kit.shutdown.clone());
        kit.tasks.spawn(HTTP.name, async move { serve::http(incoming, router, &shutdown).await });
        Ok(())
    }
}

async fn listen(
    kit: &Kit,
    purpose: Purpose,
    address: &Address,
    tls: Option<&ServerSettings>,
    protocols: Protocols,
) -> Result<(Listener, Option<Reloading<ServerConfig>>), BoxError> {
    let tls = match tls {
        Some(tls) => {
            let name = format!("{} tls", purpose.name);
            Some(follow_server(&kit.reloader(), &name, tls.clone(), protocols).await?)
        }
        None => None,
    };
    Ok((Listener::bind(address, purpose).await?, tls))
}
