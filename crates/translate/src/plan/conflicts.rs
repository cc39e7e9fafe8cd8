//! Listeners that cannot stand on one port together.
//!
//! Listeners of one owner that collide all lose: neither was there first. Between owners the one of higher precedence
//! keeps what it has: the gateway before its listener sets, the older set before the younger.

use super::{ListenerPlan, Protocol};
use crate::problem::Problem;

/// Marks the listeners that are in conflict. `listeners` are ordered by precedence.
pub(super) fn find(listeners: &mut [ListenerPlan]) {
    // What has lost to another owner is not in the way of its own owner's listeners.
    let mut outranked = vec![false; listeners.len()];
    for index in 0..listeners.len() {
        let (before, rest) = listeners.split_at_mut(index);
        let Some((this, _)) = rest.split_first_mut() else { continue };
        if !takes_part(this) {
            continue;
        }
        let mut above = before.iter().filter(|other| other.owner != this.owner && other.conflict.is_none());
        if let Some(lost) = above.find_map(|other| Some(conflict(collision(this, other)?, other))) {
            this.conflict = Some(lost);
            outranked[index] = true;
            continue;
        }
        let own = before.iter_mut().zip(&outranked).filter(|(other, lost)| other.owner == this.owner && !**lost);
        for (other, _) in own {
            let Some(reason) = collision(this, other) else { continue };
            this.conflict.get_or_insert_with(|| conflict(reason, other));
            other.conflict.get_or_insert_with(|| conflict(reason, this));
        }
    }
}

/// Whether a listener would be served but for a conflict.
fn takes_part(listener: &ListenerPlan) -> bool {
    listener.protocol.is_some() && listener.port.is_some()
}

fn conflict(reason: &'static str, other: &ListenerPlan) -> Problem {
    let message = match reason {
        "HostnameConflict" => "has the same port and host name; give one of them another",
        _ => "speaks another protocol on the same port; give one of them another port",
    };
    Problem::new(reason, format!("listener {} of {} {message}", other.name, other.owner))
}

/// Why two listeners cannot be served together.
fn collision(a: &ListenerPlan, b: &ListenerPlan) -> Option<&'static str> {
    let (a_speaks, b_speaks) = (a.protocol?, b.protocol?);
    if a.fleet != b.fleet || a.port != b.port || (a_speaks == Protocol::Udp) != (b_speaks == Protocol::Udp) {
        return None;
    }
    if family(a_speaks) != family(b_speaks) {
        return Some("ProtocolConflict");
    }
    match family(a_speaks) {
        Family::Bytes => Some("ProtocolConflict"),
        Family::Clear | Family::Tls => (a.hostname == b.hostname).then_some("HostnameConflict"),
    }
}

/// What can share a port: clear HTTP by host, TLS by server name, bytes with nobody.
#[derive(PartialEq)]
enum Family {
    Clear,
    Tls,
    Bytes,
}

fn family(protocol: Protocol) -> Family {
    match protocol {
        Protocol::Http => Family::Clear,
        Protocol::Https | Protocol::TlsTerminate | Protocol::TlsPassthrough => Family::Tls,
        Protocol::Tcp | Protocol::Udp => Family::Bytes,
    }
}
