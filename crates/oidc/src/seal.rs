//! Sealing: what leaves this process in a cookie, a URL or a store is encrypted and cannot be changed (AES-256-GCM).
//!
//! ```text
//! sealed = id of the key (4 bytes) ‖ nonce (12 bytes) ‖ ciphertext and tag
//! ```
//!
//! The first key seals, all of them open: a new key is put first, and the old one goes when all that it sealed has expired.
//! What is sealed for one purpose or one name does not open for another: each purpose has a key of its own, made of the secret by
//! HKDF, and the name goes into the tag.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The least length of a secret, in bytes.
pub const LEAST: usize = 32;

const ID: usize = 4;

/// What is sealed; what was sealed as one does not open as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A login that has begun.
    Login,
    /// A session in a store.
    Session,
    /// A session in cookies.
    Cookie,
    /// A login that is done at another host.
    Handover,
}

impl Purpose {
    const ALL: [Self; 4] = [Self::Login, Self::Session, Self::Cookie, Self::Handover];

    fn label(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Session => "session",
            Self::Cookie => "cookie",
            Self::Handover => "handover",
        }
    }
}

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too short.
    #[error("has {0} bytes, at least {LEAST} random ones are needed: `openssl rand -base64 48` makes some")]
    Short(usize),
    /// None at all.
    #[error("no key is given")]
    None,
}

/// The keys, newest first.
pub struct Keys(Vec<Key>);

struct Key {
    id: [u8; ID],
    /// One a purpose, so that what anybody can have sealed (logins) uses up nothing of the others.
    keys: [RandomizedNonceKey; Purpose::ALL.len()],
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Keys({})", self.0.len())
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Keys {
    /// Keys made of secrets, the one that seals first.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Error> {
        let keys = secrets.into_iter().map(Key::new).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(Error::None) } else { Ok(Self(keys)) }
    }

    /// A key that nobody else has and that ends with this process.
    pub fn random() -> Self {
        Self(vec![Key::derive(crate::random::token().as_bytes())])
    }

    /// Seals bytes for one purpose and one name.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    pub fn seal(&self, purpose: Purpose, name: &str, plain: &[u8]) -> Vec<u8> {
        let Key { id, keys } = &self.0[0];
        let mut text = plain.to_vec();
        let sealing = keys[purpose as usize].seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut text);
        let nonce = sealing.expect("random numbers, and little text");
        let mut sealed = Vec::with_capacity(ID + NONCE_LEN + text.len());
        sealed.extend_from_slice(id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        sealed
    }

    /// Opens what was sealed for this purpose and name; nothing when it was not, by one of these keys.
    pub fn open(&self, purpose: Purpose, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = sealed.split_at_checked(ID)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        self.0.iter().filter(|key| key.id == id).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let length =
                key.keys[purpose as usize].open_in_place(nonce, Aad::from(name.as_bytes()), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        })
    }

    /// A value, sealed, as text for a cookie or a URL.
    pub fn seal_text<T: Serialize>(&self, purpose: Purpose, name: &str, value: &T) -> String {
        let plain = serde_json::to_vec(value).expect("what is sealed has texts for keys");
        URL_SAFE_NO_PAD.encode(self.seal(purpose, name, &plain))
    }

    /// The value of [`Keys::seal_text`].
    pub fn open_text<T: DeserializeOwned>(&self, purpose: Purpose, name: &str, text: &str) -> Option<T> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&self.open(purpose, name, &sealed)?).ok()
    }
}

impl Key {
    fn new(secret: &[u8]) -> Result<Self, Error> {
        let secret = secret.trim_ascii();
        if secret.len() < LEAST { Err(Error::Short(secret.len())) } else { Ok(Self::derive(secret)) }
    }

    fn derive(secret: &[u8]) -> Self {
        let made = Salt::new(HKDF_SHA256, b"portcullis-oidc").extract(secret);
        let fill = |label: &str, bytes: &mut [u8]| {
            let okm = made.expand(&[label.as_bytes()], Bytes(bytes.len())).and_then(|okm| okm.fill(bytes));
            okm.expect("HKDF gives up to 8160 bytes");
        };
        let mut id = [0; ID];
        fill("id", &mut id);
        let keys = Purpose::ALL.map(|purpose| {
            let mut key = [0; 32];
            fill(purpose.label(), &mut key);
            RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has 32 bytes")
        });
        Self { id, keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: &[u8] = b"0123456789abcdef0123456789abcdef";
    const TWO: &[u8] = b"another secret of thirty-two byte";

    fn keys(secrets: &[&[u8]]) -> Keys {
        Keys::new(secrets.iter().copied()).unwrap()
    }

    #[test]
    fn an_old_key_opens_and_a_lost_one_does_not() {
        let sealed = keys(&[ONE]).seal(Purpose::Login, "a", b"text");
        assert_eq!(keys(&[TWO, ONE]).open(Purpose::Login, "a", &sealed).unwrap(), b"text");
        assert_eq!(keys(&[TWO]).open(Purpose::Login, "a", &sealed), None);
    }

    #[test]
    fn another_purpose_or_name_does_not_open() {
        let keys = keys(&[ONE]);
        let sealed = keys.seal(Purpose::Login, "a", b"text");
        assert_eq!(keys.open(Purpose::Session, "a", &sealed), None);
        assert_eq!(keys.open(Purpose::Login, "b", &sealed), None);
    }

    #[test]
    fn short_secrets_are_refused() {
        assert!(Keys::new([&b"hunter2"[..]]).unwrap_err().to_string().contains("has 7 bytes"));
        assert!(Keys::new([]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_changed_does_not_open(
            plain in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let keys = keys(&[ONE]);
            let mut sealed = keys.seal(Purpose::Cookie, "n", &plain);
            prop_assert_eq!(keys.open(Purpose::Cookie, "n", &sealed), Some(plain));
            let cut = at.index(sealed.len());
            prop_assert_eq!(keys.open(Purpose::Cookie, "n", &sealed[..cut]), None);
            sealed[cut] ^= 1 << bit;
            prop_assert_eq!(keys.open(Purpose::Cookie, "n", &sealed), None);
        }

        #[test]
        fn nothing_makes_opening_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(keys(&[ONE, TWO]).open(Purpose::Cookie, "n", &bytes), None);
        }
    }
}
