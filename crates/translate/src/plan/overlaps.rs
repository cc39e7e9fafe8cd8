//! HTTPS listeners of one port that a browser may take for one another (GEP-3567).
//!
//! A client may reuse a connection for another host that the certificate covers. The other host can belong to another
//! listener: then it is answered 421, and this condition says why.

use super::{ListenerPlan, Protocol};
use crate::{names, problem::Problem};

/// Marks listeners whose host names overlap with those of another on the same port, or that share a certificate.
pub(super) fn find(listeners: &mut [ListenerPlan]) {
    let found: Vec<Option<Problem>> = listeners
        .iter()
        .enumerate()
        .map(|(index, this)| {
            let others = listeners.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
            others.filter(|other| same_port(this, other)).find_map(|other| overlap(this, other))
        })
        .collect();
    for (listener, overlap) in listeners.iter_mut().zip(found) {
        listener.overlap = overlap;
    }
}

fn same_port(a: &ListenerPlan, b: &ListenerPlan) -> bool {
    let https = |listener: &ListenerPlan| listener.protocol == Some(Protocol::Https) && listener.served();
    a.fleet == b.fleet && a.port == b.port && https(a) && https(b)
}

fn overlap(this: &ListenerPlan, other: &ListenerPlan) -> Option<Problem> {
    let shown = |listener: &ListenerPlan| listener.hostname.clone().unwrap_or_else(|| "*".to_owned());
    let hosts_overlap = match (&this.hostname, &other.hostname) {
        (Some(a), Some(b)) => names::covers(Some(a), b) || names::covers(Some(b), a),
        _ => true,
    };
    if hosts_overlap {
        let message = format!(
            "the host names of this listener ({}) and of {} ({}) overlap",
            shown(this),
            other.name,
            shown(other)
        );
        return Some(Problem::new("OverlappingHostnames", message));
    }
    let certificates =
        |listener: &ListenerPlan| listener.tls.as_ref().map(|tls| tls.certificates.clone()).unwrap_or_default();
    let theirs = certificates(other);
    let shared = certificates(this).into_iter().find(|name| theirs.contains(name))?;
    let message = format!("this listener and {} show the same {shared}", other.name);
    Some(Problem::new("OverlappingCertificates", message))
}
