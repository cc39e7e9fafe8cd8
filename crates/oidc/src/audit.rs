//! The audit log: who logged in, who logged out, who was refused. One line each with the target `audit`, as JSON where logs are
//! (`--log-format json`). No token, no cookie and no code is ever in it.

use crate::ask::Ask;
use crate::session::Session;

/// Somebody has logged in.
pub(crate) fn login(ask: &Ask, session: &Session) {
    tracing::info!(
        target: "audit",
        event = "login",
        provider = &*session.provider,
        subject = ?session.subject,
        session = session.id,
        host = ?ask.host,
        client = ask.client,
        request = ?ask.id(),
    );
}

/// A login did not work.
pub(crate) fn login_failed(ask: &Ask, provider: &str, reason: &str) {
    tracing::info!(
        target: "audit",
        event = "login failed",
        provider,
        reason,
        host = ?ask.host,
        client = ask.client,
        request = ?ask.id(),
    );
}

/// A session has ended; `how` says by whom.
pub(crate) fn logout(how: &str, provider: &str, session: &str, subject: &str) {
    tracing::info!(target: "audit", event = "logout", how, provider, session, subject = ?subject);
}

/// Sessions were ended by a provider.
pub(crate) fn ended(how: &str, provider: &str, sessions: usize) {
    tracing::info!(target: "audit", event = "logout", how, provider, sessions);
}

/// Somebody who is known was refused.
pub(crate) fn denied(ask: &Ask, profile: &str, subject: &str, reason: &str) {
    tracing::info!(
        target: "audit",
        event = "denied",
        profile,
        reason,
        subject = ?subject,
        method = ?ask.method,
        path = ?ask.path().raw(),
        host = ?ask.host,
        client = ask.client,
        request = ?ask.id(),
    );
}
