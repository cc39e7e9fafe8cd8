//! Tokens that were got in exchange, kept while they are good: one exchange for many requests.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::clock::{self, Seconds};
use crate::provider::{Error, Provider};
use crate::random;
use crate::settings::Exchange;

/// What is kept at most.
const MOST: usize = 20_000;
/// A token that expires so soon is not used any more.
const SPARE: Seconds = 30;
/// How long a token is used whose end is not known.
const USUAL: Seconds = 60;

/// How long a failure is the answer to all: whoever waits does not ask once more, one after the other.
const PAUSE: Seconds = 2;

/// What came of it, and how long that counts.
type Slot = Arc<tokio::sync::Mutex<Option<(Result<String, Error>, Seconds)>>>;

/// Exchanged tokens by whose they are and what for.
#[derive(Debug, Default)]
pub(crate) struct Exchanged(Mutex<HashMap<[u8; 32], Slot>>);

impl Exchanged {
    /// The token for `wanted` in exchange for `access`, which belongs to `owner` (a session, or the token itself).
    pub(crate) async fn get(
        &self,
        provider: &Provider,
        owner: &str,
        access: &str,
        wanted: &Exchange,
    ) -> Result<String, Error> {
        // Another access token may mean other rights.
        let key = random::hash(&format!(
            "{owner}\0{access}\0{}\0{:?}\0{}",
            wanted.audience,
            wanted.resource,
            wanted.scopes.join(" ")
        ));
        let slot = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST {
                all.clear();
            }
            Arc::clone(all.entry(key).or_default())
        };
        // Those who want the same wait for the one who gets it.
        let mut slot = slot.lock().await;
        let now = clock::now();
        if let Some((came, _)) = slot.as_ref().filter(|(_, end)| *end > now) {
            return came.clone();
        }
        let (came, lasts) = match provider.swap(access, wanted).await {
            Ok((token, end)) => (Ok(token), end.map_or(now + USUAL, |end| end.saturating_sub(SPARE))),
            Err(error) => {
                provider.report("exchange", &error);
                (Err(error), clock::now() + PAUSE)
            }
        };
        *slot = Some((came.clone(), lasts));
        came
    }
}
