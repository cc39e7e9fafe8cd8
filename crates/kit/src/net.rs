//! Addresses to listen on (TCP or Unix socket), and errors that say how to choose another.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::net::{TcpListener, UnixListener};

/// Where to listen or to connect: `127.0.0.1:19000`, `[::]:80`, `localhost:80`, or `unix:/run/admin.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host (name or number) and a port. Port 0 lets the system choose one.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that is not an [`Address`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is not an address, allowed: host:port such as 127.0.0.1:8080 or [::]:8080, or unix:/path")]
pub struct BadAddress(String);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(bad()) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || bare_v6 || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => formatter.write_str(address),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Why listening failed. Mended by whoever runs the process.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({what}): {why}; {mend}")]
pub struct BindError {
    address: Address,
    what: &'static str,
    why: io::Error,
    mend: String,
}

/// What a port is for and how another is chosen, for errors and logs.
#[derive(Debug, Clone, Copy)]
pub struct Purpose {
    /// What it is for: `admin`.
    pub name: &'static str,
    /// The flag or field that changes the address: `--admin-addr`.
    pub setting: &'static str,
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    address: Address,
    purpose: Purpose,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// Listens on `address`. A Unix socket gets mode 0600 and replaces one that nobody listens on.
    pub async fn bind(address: &Address, purpose: Purpose) -> Result<Self, BindError> {
        let bound = match address {
            Address::Tcp(host) => bind_tcp(host).await,
            Address::Unix(path) => bind_unix(path).map(|socket| (socket, address.clone())),
        };
        match bound {
            Ok((socket, address)) => {
                tracing::info!(what = purpose.name, %address, "listening");
                Ok(Self { socket, address, purpose })
            }
            Err(why) => Err(BindError { address: address.clone(), what: purpose.name, mend: mend(&why, purpose), why }),
        }
    }

    /// The bound address, with the real port where 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

fn mend(why: &io::Error, purpose: Purpose) -> String {
    let setting = purpose.setting;
    match why.kind() {
        io::ErrorKind::AddrInUse => format!("stop the process that uses it, or choose another with {setting}"),
        io::ErrorKind::PermissionDenied => format!("choose a port above 1023 or another path with {setting}"),
        _ => format!("choose another with {setting}"),
    }
}

async fn bind_tcp(host: &str) -> io::Result<(Socket, Address)> {
    let listener = TcpListener::bind(host).await?;
    let address = Address::Tcp(listener.local_addr()?.to_string());
    Ok((Socket::Tcp(listener), address))
}

/// Binds under a temporary name, closes the socket for others, and only then gives it its name: nobody else can connect
/// in between, and a stale socket is replaced in one step.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    refuse_used(path)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    remove_if_there(&temporary)?;
    let listener = UnixListener::bind(&temporary)?;
    let placed = fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::metadata(path));
    match placed {
        Ok(meta) => Ok(Socket::Unix { listener, _file: SocketFile { path: path.to_owned(), inode: meta.ino() } }),
        Err(error) => {
            remove_if_there(&temporary)?;
            Err(error)
        }
    }
}

/// An error when something other than a stale socket is at `path`.
fn refuse_used(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if !meta.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket is there"))
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(_) => Ok(()),
        },
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file of a socket, removed at the end unless another process has put its own there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // What cannot be removed now is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: Purpose = Purpose { name: "test", setting: "--test-addr" };

    #[test]
    fn addresses_are_read() {
        for good in ["127.0.0.1:80", "[::]:0", "localhost:19000", "unix:/run/x.sock"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        for bad in ["", "80", ":80", "::1:80", "host:99999", "unix:"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_busy_port_names_port_and_setting() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap(), TEST).await.unwrap();
        let error = Listener::bind(first.address(), TEST).await.unwrap_err().to_string();
        assert!(error.contains(&first.address().to_string()) && error.contains("--test-addr"), "{error}");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_used_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = Address::Unix(path.clone());
        let listener = Listener::bind(&address, TEST).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Listener::bind(&address, TEST).await.unwrap_err().to_string().contains("another process"));
        drop(listener);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address, TEST).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
