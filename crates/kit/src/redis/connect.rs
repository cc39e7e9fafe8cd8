//! Connections by the settings: to one server, to the master that Sentinels name, to a cluster.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::net::Address;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};

use super::settings::{Sentinel, Server, Tls};

/// How long connecting may take, and an answer while connecting.
const CONNECT: Duration = Duration::from_secs(2);
/// The same for a node of a cluster. Connecting to a cluster waits for a node that keeps silent twice, as a seed and as a node;
/// and looking up the slots anew does once, which keeps all calls waiting: no longer than a cluster may be silent.
const CONNECT_NODE: Duration = Duration::from_millis(500);
/// Calls that wait to be written.
const BUFFER: usize = 1024;

/// A connection, shared by many calls; clones are the same one.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::One(_) => "Connection::One",
            Self::Cluster(_) => "Connection::Cluster",
        })
    }
}

impl Connection {
    /// Sends a command and waits for its answer.
    pub async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::One(one) => one.req_packed_command(command).await?,
            Self::Cluster(cluster) => cluster.req_packed_command(command).await?,
        };
        // An error of the server is a value for some connections.
        if matches!(answer, Value::ServerError(_)) { answer.extract_error() } else { Ok(answer) }
    }

    /// Sends commands in one write. What a command says of its own key and arguments stays among the answers.
    pub async fn send_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        let answers = match self {
            Self::One(one) => one.req_packed_commands(commands, 0, commands.len()).await?,
            Self::Cluster(cluster) => cluster.req_packed_commands(commands, 0, commands.len()).await?,
        };
        let is_of_all = |answer: &Value| match answer {
            Value::ServerError(error) => !matches!(error.code(), "ERR" | "WRONGTYPE"),
            _ => false,
        };
        match answers.iter().find(|answer| is_of_all(answer)) {
            Some(error) => error.clone().extract_error().map(|answer| vec![answer]),
            None => Ok(answers),
        }
    }
}

/// Connects. The settings have to be such that [`Server::problem`] finds nothing.
pub async fn connect(server: &Server) -> RedisResult<Connection> {
    let certificates = server.tls.as_ref().map(certificates).transpose()?;
    if let Some(sentinel) = &server.sentinel {
        return by_sentinel(server, sentinel, certificates).await.map(Connection::One);
    }
    if !server.cluster.is_empty() {
        return to_cluster(server, certificates).await.map(Connection::Cluster);
    }
    let address = server.address.as_ref().expect("the settings are checked");
    let info = address_of(address, server.tls.is_some())?.into_connection_info()?.set_redis_settings(login(server));
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    };
    client.get_multiplexed_async_connection_with_config(&options()).await.map(Connection::One)
}

/// Calls have their deadline from us; a second timer for each would only cost.
fn options() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFER)
}

fn login(server: &Server) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_db(server.database);
    if let Some(username) = &server.username {
        login = login.set_username(username);
    }
    if let Some(password) = &server.password {
        login = login.set_password(password.reveal());
    }
    login
}

async fn by_sentinel(
    server: &Server,
    sentinel: &Sentinel,
    certificates: Option<TlsCertificates>,
) -> RedisResult<MultiplexedConnection> {
    let encrypted = server.tls.is_some();
    let addresses = sentinel.addresses.iter().map(|address| address_of(address, encrypted));
    let addresses = addresses.collect::<RedisResult<Vec<_>>>()?;
    let mut builder = SentinelClientBuilder::new(addresses, &sentinel.master, SentinelServerType::Master)?
        .set_client_to_redis_db(server.database);
    if let Some(username) = &server.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &server.password {
        builder = builder.set_client_to_redis_password(password.reveal());
    }
    if let Some(username) = &sentinel.username {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = &sentinel.password {
        builder = builder.set_client_to_sentinel_password(password.reveal());
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()?.get_async_connection_with_config(&options()).await
}

async fn to_cluster(server: &Server, certificates: Option<TlsCertificates>) -> RedisResult<ClusterConnection> {
    let encrypted = server.tls.is_some();
    let nodes = server.cluster.iter().map(|address| address_of(address, encrypted)?.into_connection_info());
    let mut builder = ClusterClientBuilder::new(nodes.collect::<RedisResult<Vec<_>>>()?)
        .connection_timeout(CONNECT_NODE)
        .retries(3)
        .min_retry_wait(1)
        .max_retry_wait(10);
    if let Some(username) = &server.username {
        builder = builder.username(username);
    }
    if let Some(password) = &server.password {
        builder = builder.password(password.reveal());
    }
    if let Some(certificates) = certificates {
        builder = builder.tls(TlsMode::Secure).certs(certificates);
    }
    builder.build()?.get_async_connection().await
}

fn address_of(address: &Address, encrypted: bool) -> RedisResult<ConnectionAddr> {
    let text = match address {
        Address::Unix(path) => return Ok(ConnectionAddr::Unix(path.clone())),
        Address::Tcp(text) => text,
    };
    let (host, port) = text.rsplit_once(':').expect("an address has a port");
    let port = port.parse().map_err(|_| wrong(format!("{text} has no port")))?;
    let host = host.trim_matches(['[', ']']).to_owned();
    Ok(if encrypted {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    })
}

fn certificates(tls: &Tls) -> RedisResult<TlsCertificates> {
    let read = |path: &Path| fs::read(path).map_err(|error| wrong(format!("{}: {error}", path.display())));
    let client_tls = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    Ok(TlsCertificates { client_tls, root_cert: tls.ca.as_deref().map(read).transpose()? })
}

fn wrong(what: String) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, "cannot connect", what))
}
