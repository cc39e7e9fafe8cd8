//! Browsers that go round in circles: each login succeeds, and the next request brings no session. A cookie of the host counts the
//! logins that were finished since a request was let pass; it is forgotten with the first one that is.

use crate::return_url;
use crate::service::Service;
use crate::verdict::Answer;
use crate::visit::Visit;

/// So many logins are finished one after the other without a session, and no more.
const MOST: u8 = 2;

impl Service {
    /// What is said to a browser that comes back from its logins again and again without the session that they made. It would
    /// be sent to and fro for ever.
    pub(crate) fn goes_round(&self, visit: Visit<'_>) -> Option<Answer> {
        let (jar, cookies) = (&self.sessions.jar, visit.cookies());
        if jar.finished(cookies) < MOST {
            return None;
        }
        let Visit { runtime, ask, .. } = visit;
        self.metrics.login_loops.inc();
        tracing::warn!(
            host = ask.host,
            "a browser has logged in {MOST} times and brings no session: it does not keep our cookie (a domain that is not \
             this host's?), others set one of its name, or the session is kept where it is not looked for (another replica's \
             memory, other keys?)"
        );
        let text = "You have logged in, but this site does not know you afterwards. Another page of it may have set a cookie that \
                    is in the way: remove the cookies of this site, and try again.";
        let answer = runtime.pages.error(500, text, Some(&return_url::kept(&ask.target)), ask.id());
        Some(answer.cookies(jar.clear_finished(cookies)))
    }
}
