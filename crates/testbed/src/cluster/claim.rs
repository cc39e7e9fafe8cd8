//! Names of which each is one cluster's at a time, on the whole machine.
//!
//! A claim is an abstract Unix socket: it has a name in the network of this machine and no file, so that it needs no common
//! directory, and the kernel ends it with its holder, however that ended.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::{Context, Result};

/// A name that nobody else has while this is held.
#[derive(Debug)]
pub(super) struct Claim {
    _socket: UnixListener,
}

impl Claim {
    /// Claims a name; nothing if another has it.
    pub(super) fn take(name: &str) -> Result<Option<Self>> {
        let address = SocketAddr::from_abstract_name(name).with_context(|| format!("{name} is no name of a socket"))?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Some(Self { _socket: socket })),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot claim the name {name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_holder_at_a_time() {
        let name = format!("portcullis-claim-{}", std::process::id());
        let held = Claim::take(&name).unwrap();
        assert!(held.is_some() && Claim::take(&name).unwrap().is_none());
        drop(held);
        assert!(Claim::take(&name).unwrap().is_some());
    }
}
