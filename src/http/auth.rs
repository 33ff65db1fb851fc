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
use crate::domain::{IdError, Principal};

/// Whose name stands in records while there are no keys.
pub const ANONYMOUS: &str = "anonymous";

const TOKEN_PREFIX: &str = "db_";
const TOKEN_RANDOM_BYTES: usize = 32;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read products, stock, orders and holds; also metrics on the main listener.
    Read,
    /// Buy, cancel, hold.
    Sell,
    /// Create, change and pause products, adjust stock.
    Manage,
}

/// Several scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

/// The keys in force. Clones share them, so that one of them can put others in force.
#[derive(Debug, Clone)]
pub struct Keys {
    ring: Arc<Ring>,
}

#[derive(Debug)]
struct Ring {
    keys: Mutex<Arc<[Key]>>,
    /// Moves with every change, so that workers need not look.
    generation: AtomicU64,
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

/// Why words are no scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// There is no such scope.
    #[error("no scope {0:?}: read, sell, manage")]
    Unknown(String),
    /// It is there more than once.
    #[error("scope {0} twice")]
    Twice(&'static str),
}

/// Why no key was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewKeyError {
    /// The name cannot be a principal's.
    #[error("the name {0}")]
    Name(#[from] IdError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(String),
}

/// A key just made; the token is shown once and kept nowhere.
pub struct NewKey {
    /// What the client sends behind `Bearer`.
    pub token: String,
    /// What goes into the keys file.
    pub line: String,
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
    /// Reads words separated by commas.
    ///
    /// # Errors
    /// A word that is no scope, or one twice.
    pub fn parse(words: &str) -> Result<Self, ScopesError> {
        let mut scopes = Self::default();
        for word in words.split(',') {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word);
            let scope = scope.ok_or_else(|| ScopesError::Unknown(word.to_owned()))?;
            if scopes.has(scope) {
                return Err(ScopesError::Twice(scope.as_str()));
            }
            scopes.0 |= 1 << scope as u8;
        }
        Ok(scopes)
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & 1 << scope as u8 != 0
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
        let (keys, generation) = (Mutex::new(keys.into()), AtomicU64::new(1));
        Ok(Self { ring: Arc::new(Ring { keys, generation }) })
    }

    /// Puts the keys of `other` in force, from the next request on.
    pub fn replace(&self, other: Self) {
        let keys = Arc::clone(&other.ring.keys.lock());
        *self.ring.keys.lock() = keys;
        self.ring.generation.fetch_add(1, Ordering::Release);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ring.keys.lock().len()
    }

    /// Whether there is none: then nobody gets in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The key of a token. Compares with every key, each in constant time.
fn find<'a>(keys: &'a [Key], token: &[u8]) -> Option<&'a Key> {
    let digest = digest_of(token);
    let mut found = None;
    for key in keys {
        if bool::from(key.digest.ct_eq(&digest)) {
            found = Some(key);
        }
    }
    found
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
        let scopes = Scopes::parse(scopes).map_err(|error| error.to_string())?;
        Ok(Self { principal, scopes, digest })
    }

    fn copied(&self) -> Self {
        let principal = Principal::new(self.principal.as_str()).expect("it is one");
        Self { principal, scopes: self.scopes, digest: self.digest }
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

impl NewKey {
    /// Makes a key of 256 random bits.
    ///
    /// # Errors
    /// The name cannot be a principal's, or the system has no randomness.
    pub fn generate(name: &str, scopes: Scopes) -> Result<Self, NewKeyError> {
        let principal = Principal::new(name)?;
        let mut random = [0; TOKEN_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| NewKeyError::Random(error.to_string()))?;
        let token = format!("{TOKEN_PREFIX}{}", to_hex(&random));
        let line = format!("{principal} {scopes} {}", to_hex(&digest_of(token.as_bytes())));
        Ok(Self { token, line })
    }
}

/// Whether an address may be served without keys: only this machine can reach it.
#[must_use]
pub fn may_be_open(listen: SocketAddr) -> bool {
    listen.ip().is_loopback()
}

/// Checks keys in one worker; looks at those in force only after a change.
pub(super) struct Doorkeeper {
    /// `None`: everything is open.
    keys: Option<Keys>,
    /// Copies of its own, names too: whose count no other worker touches.
    seen: RefCell<(u64, Vec<Key>)>,
    anonymous: Principal,
}

impl Doorkeeper {
    pub(super) fn new(keys: Option<Keys>) -> Self {
        let anonymous = Principal::new(ANONYMOUS).expect("a constant that is a name");
        Self { keys, seen: RefCell::default(), anonymous }
    }

    /// Who asks, if they may.
    ///
    /// # Errors
    /// No valid key, or one without the scope.
    pub(super) fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Principal, Problem> {
        let Some(Keys { ring }) = &self.keys else { return Ok(self.anonymous.clone()) };
        let mut seen = self.seen.borrow_mut();
        let generation = ring.generation.load(Ordering::Acquire);
        if seen.0 != generation {
            *seen = (generation, ring.keys.lock().iter().map(Key::copied).collect());
        }
        let no = |detail: &'static str| Problem::new(ProblemType::Unauthenticated, detail);
        let mut values = headers.get_all(AUTHORIZATION);
        let value = values.next().ok_or_else(|| no("send Authorization: Bearer and an API key"))?;
        if values.next().is_some() {
            return Err(no("several Authorization headers"));
        }
        let token = bearer(value.as_bytes()).ok_or_else(|| no("Authorization is not Bearer"))?;
        let key = find(&seen.1, token).ok_or_else(|| no("no such API key"))?;
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
        NewKey::generate(name, Scopes::parse(scopes).unwrap()).unwrap()
    }

    #[test]
    fn a_new_key_opens_what_its_scopes_say_until_it_is_gone() {
        let (till, office) = (made("till-1", "sell"), made("office", "read,manage"));
        let file = format!("# shop\n\n{}\n  {}\n", till.line, office.line);
        let keys = Keys::parse(&file).unwrap();
        assert_eq!(keys.len(), 2);
        let doorkeeper = Doorkeeper::new(Some(keys.clone()));
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
        keys.replace(Keys::parse(&office.line).unwrap());
        assert_eq!(ask(&till_key, Scope::Sell), Err(ProblemType::Unauthenticated));
    }

    #[test]
    fn without_a_file_everybody_is_anonymous() {
        let doorkeeper = Doorkeeper::new(None);
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
