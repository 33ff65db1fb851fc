//! API keys: who asks, and what they may.
//!
//! A keys file has a line per key: `name scopes sha256`, fields separated by blanks; scopes are
//! `read`, `sell`, `manage`, separated by commas, none implying another; `sha256` is the token's
//! digest in hex, so the file holds no secret. Empty lines and those that begin with `#` are
//! skipped. The name is the principal: it stands in every record its key causes.
//!
//! Without a file everything is open to everybody, whose principal is then `anonymous`; serve that
//! on loopback only ([`may_be_open`]).

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::{Problem, ProblemType};
use crate::domain::Principal;

/// Whose name stands in records while there are no keys.
pub const ANONYMOUS: &str = "anonymous";

const TOKEN_PREFIX: &str = "db_";
const TOKEN_RANDOM_BYTES: usize = 32;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read products, stock and orders; also metrics on the main listener.
    Read,
    /// Buy.
    Sell,
    /// Create and change products, adjust stock.
    Manage,
}

/// Several scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

/// The keys of a file.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    principal: Principal,
    scopes: Scopes,
    digest: [u8; 32],
}

/// Why a keys file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct KeysError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A key just made; the token is shown once and kept nowhere.
pub struct NewKey {
    /// What the client sends behind `Bearer`.
    pub token: String,
    /// What goes into the keys file.
    pub line: String,
}

/// The keys in force, swapped whole.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    /// `None`: everything is open.
    keys: Mutex<Option<Arc<Keys>>>,
    generation: AtomicU64,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Read, Self::Sell, Self::Manage];

    /// Its word in a keys file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Sell => "sell",
            Self::Manage => "manage",
        }
    }
}

impl Scopes {
    /// Whether `scope` is among them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
    }
}

impl std::str::FromStr for Scopes {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let mut scopes = Self::default();
        for word in words.split(',') {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            let scope = scope.ok_or_else(|| format!("no scope {word:?}: read, sell, manage"))?;
            if scopes.has(scope) {
                return Err(format!("scope {word} twice"));
            }
            scopes.0 |= 1 << scope as u8;
        }
        Ok(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes = Scope::ALL.into_iter().filter(|scope| self.has(*scope));
        let words: Vec<&str> = scopes.map(Scope::as_str).collect();
        f.write_str(&words.join(","))
    }
}

impl Keys {
    /// Reads the lines of a keys file.
    ///
    /// # Errors
    /// The first line that is not as it should be, or a name or digest that is there twice.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = Key::parse(text).map_err(|reason| KeysError { line, reason })?;
            let twice = |what: &str| KeysError { line, reason: format!("{what} twice") };
            if keys.iter().any(|known| known.principal == key.principal) {
                return Err(twice(&format!("name {}", key.principal)));
            }
            if keys.iter().any(|known| known.digest == key.digest) {
                return Err(twice("the same key"));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none: then nobody gets in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of a token. Compares with every key, each in constant time.
    fn find(&self, token: &[u8]) -> Option<&Key> {
        let digest = digest_of(token);
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.digest.ct_eq(&digest)) {
                found = Some(key);
            }
        }
        found
    }
}

impl Key {
    fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(name), Some(scopes), Some(digest), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("must be: name scopes sha256".to_owned());
        };
        let principal = Principal::new(name).map_err(|error| format!("the name {error}"))?;
        let digest = from_hex(digest).ok_or("the digest must have 64 hexadecimal digits")?;
        if digest == digest_of(b"") {
            return Err("the digest is that of an empty token".to_owned());
        }
        Ok(Self { principal, scopes: scopes.parse()?, digest })
    }
}

fn digest_of(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = digits else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Makes a key of 256 random bits.
///
/// # Errors
/// The system has no randomness.
pub fn new_key(name: &Principal, scopes: Scopes) -> Result<NewKey, getrandom::Error> {
    let mut random = [0; TOKEN_RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    let token = format!("{TOKEN_PREFIX}{}", to_hex(&random));
    let line = format!("{name} {scopes} {}", to_hex(&digest_of(token.as_bytes())));
    Ok(NewKey { token, line })
}

/// Whether an address may be served without keys: only this machine can reach it.
#[must_use]
pub fn may_be_open(listen: SocketAddr) -> bool {
    listen.ip().is_loopback()
}

impl KeyRing {
    /// A ring with these keys; without any, everything is open.
    #[must_use]
    pub(super) fn new(keys: Option<Keys>) -> Self {
        Self { keys: Mutex::new(keys.map(Arc::new)), generation: AtomicU64::new(1) }
    }

    /// Puts other keys in force, from the next request on.
    pub(super) fn replace(&self, keys: Keys) {
        *self.keys.lock() = Some(Arc::new(keys));
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// Checks keys in one worker; looks into the ring only after a change.
pub(super) struct Doorkeeper {
    ring: Arc<KeyRing>,
    seen: RefCell<(u64, Option<Arc<Keys>>)>,
    anonymous: Principal,
}

impl Doorkeeper {
    pub(super) fn new(ring: Arc<KeyRing>) -> Self {
        let anonymous = Principal::new(ANONYMOUS).expect("a constant that is a name");
        Self { ring, seen: RefCell::new((0, None)), anonymous }
    }

    /// Who asks, if they may.
    ///
    /// # Errors
    /// No valid key, or one without the scope.
    pub(super) fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Problem> {
        let mut seen = self.seen.borrow_mut();
        let generation = self.ring.generation.load(Ordering::Acquire);
        if seen.0 != generation {
            *seen = (generation, self.ring.keys.lock().clone());
        }
        let Some(keys) = &seen.1 else { return Ok(self.anonymous.clone()) };
        let no = |detail: &'static str| Problem::new(ProblemType::Unauthenticated, detail);
        let mut values = headers.get_all(AUTHORIZATION);
        let value = values.next().ok_or_else(|| no("send Authorization: Bearer and an API key"))?;
        if values.next().is_some() {
            return Err(no("several Authorization headers"));
        }
        let token = bearer(value.as_bytes()).ok_or_else(|| no("Authorization is not Bearer"))?;
        let key = keys.find(token).ok_or_else(|| no("no such API key"))?;
        if !key.scopes.has(scope) {
            let detail = format!("this needs a key with the scope {}", scope.as_str());
            return Err(Problem::new(ProblemType::Forbidden, detail));
        }
        Ok(key.principal.clone())
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn made(name: &str, scopes: &str) -> NewKey {
        new_key(&Principal::new(name).unwrap(), scopes.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_new_key_opens_what_its_scopes_say_until_it_is_gone() {
        let (till, office) = (made("till-1", "sell"), made("office", "read,manage"));
        let file = format!("# shop\n\n{}\n  {}\n", till.line, office.line);
        let keys = Keys::parse(&file).unwrap();
        assert_eq!(keys.len(), 2);
        let ring = Arc::new(KeyRing::new(Some(keys)));
        let doorkeeper = Doorkeeper::new(Arc::clone(&ring));
        let ask = |value: &str, scope| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            let admitted = doorkeeper.admit(&headers, scope);
            admitted.map(|who| who.as_str().to_owned()).map_err(|problem| problem.kind)
        };
        let till_key = format!("Bearer {}", till.token);
        assert_eq!(ask(&till_key, Scope::Sell), Ok("till-1".to_owned()));
        assert_eq!(ask(&till_key.replace("Bearer", "bearer"), Scope::Sell).unwrap(), "till-1");
        assert_eq!(ask(&till_key, Scope::Manage), Err(ProblemType::Forbidden));
        assert_eq!(ask(&format!("Bearer {}", office.token), Scope::Manage).unwrap(), "office");
        for wrong in ["Bearer", "Bearer ", "Basic eDp5", &till.token, "Bearer db_00", ""] {
            assert_eq!(ask(wrong, Scope::Sell), Err(ProblemType::Unauthenticated), "{wrong}");
        }
        ring.replace(Keys::parse(&office.line).unwrap());
        assert_eq!(ask(&till_key, Scope::Sell), Err(ProblemType::Unauthenticated));
    }

    #[test]
    fn without_a_file_everybody_is_anonymous() {
        let doorkeeper = Doorkeeper::new(Arc::new(KeyRing::new(None)));
        let who = doorkeeper.admit(&HeaderMap::new(), Scope::Manage).unwrap();
        assert_eq!(who.as_str(), ANONYMOUS);
        assert!(may_be_open("127.0.0.1:1".parse().unwrap()));
        assert!(may_be_open("[::1]:1".parse().unwrap()));
        assert!(!may_be_open("0.0.0.0:1".parse().unwrap()));
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = made("a", "read").line;
        let digest = good.split(' ').next_back().unwrap().to_owned();
        for (line, reason) in [
            ("b read".to_owned(), "name scopes sha256"),
            (format!("b read {digest} x"), "name scopes sha256"),
            (format!("b write {digest}"), "no scope \"write\""),
            (format!("b read,read {digest}"), "scope read twice"),
            (format!("b! read {digest}"), "the name"),
            ("b read abc".to_owned(), "64 hexadecimal"),
            (format!("b read {}", to_hex(&digest_of(b""))), "empty token"),
            (format!("a sell {}", "0".repeat(64)), "name a twice"),
            (format!("b sell {digest}"), "the same key twice"),
        ] {
            let error = Keys::parse(&format!("{good}\n{line}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
