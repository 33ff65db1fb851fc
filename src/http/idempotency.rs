//! `Idempotency-Key`: reading it, and the stamp it leaves in a record.
//!
//! A key is 1 to 255 visible ASCII characters (`!` to `~`); in double quotes or bare it is the same
//! key, and quotes are not part of it. Required on every POST; ignored on every other method.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::json::Value;
use super::problem::{Problem, ProblemType};
use crate::domain::Principal;
use crate::journal::KeyStamp;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const KEY_BYTES_MAX: usize = 255;

/// The key of a POST.
///
/// # Errors
/// Missing, twice and different, or not of the right form.
pub(super) fn key(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY);
    let Some(first) = values.next() else {
        let detail = "every POST needs an Idempotency-Key";
        return Err(Problem::new(ProblemType::KeyMissing, detail));
    };
    let key = bare(first)?;
    for other in values {
        if bare(other)? != key {
            return Err(Problem::malformed("two different Idempotency-Keys"));
        }
    }
    Ok(key)
}

fn bare(value: &HeaderValue) -> Result<&[u8], Problem> {
    let bytes = value.as_bytes();
    let key = match bytes {
        [b'"', key @ .., b'"'] => key,
        key => key,
    };
    let visible = key.iter().all(|byte| (b'!'..=b'~').contains(byte) && *byte != b'"');
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !visible {
        let detail = "an Idempotency-Key has 1 to 255 visible ASCII characters, quoted or not";
        return Err(Problem::malformed(detail));
    }
    Ok(key)
}

/// A fingerprint in the making: of method and path, then of the parsed body.
pub(super) struct Fingerprint {
    hash: Sha256,
}

impl Fingerprint {
    /// Of a POST to `path`, as it is after decoding.
    pub(super) fn of_post(path: &[&str]) -> Self {
        let mut fingerprint = Self { hash: Sha256::new() };
        fingerprint.text("POST");
        path.iter().for_each(|segment| fingerprint.text(segment));
        fingerprint
    }

    /// A string, with its length so that neighbours cannot be confused.
    pub(super) fn text(&mut self, text: &str) {
        self.hash.update((text.len() as u64).to_le_bytes());
        self.hash.update(text);
    }

    /// A number.
    pub(super) fn number(&mut self, number: u64) {
        self.hash.update(number.to_le_bytes());
    }

    /// Of a POST of `body` to `path`.
    pub(super) fn of_json(path: &[&str], body: &Value<'_>) -> Self {
        let mut fingerprint = Self::of_post(path);
        body.hash(&mut fingerprint.hash);
        fingerprint
    }

    /// The stamp of `key`, which is the principal's own.
    pub(super) fn stamp(self, principal: &Principal, key: &[u8]) -> KeyStamp {
        let mut of_key = Sha256::new();
        of_key.update((principal.as_str().len() as u64).to_le_bytes());
        of_key.update(principal.as_str());
        of_key.update(key);
        KeyStamp { hash: first(&of_key.finalize()), fingerprint: first(&self.hash.finalize()) }
    }
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(keys: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
        }
        headers
    }

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        let read = |keys: &[&str]| key(&headers(keys)).map(<[u8]>::to_vec).map_err(|p| p.kind);
        assert_eq!(read(&["k-1"]), Ok(b"k-1".to_vec()));
        assert_eq!(read(&["\"k-1\""]), Ok(b"k-1".to_vec()));
        assert_eq!(read(&["k-1", "\"k-1\""]), Ok(b"k-1".to_vec()));
        assert_eq!(read(&[&"k".repeat(255)]), Ok(vec![b'k'; 255]));
        assert_eq!(read(&[]), Err(ProblemType::KeyMissing));
        for wrong in ["", "\"\"", "a b", "a\"b", "\"a", "ä", &"k".repeat(256)] {
            assert_eq!(read(&[wrong]), Err(ProblemType::Malformed), "{wrong}");
        }
        assert_eq!(read(&["k-1", "k-2"]), Err(ProblemType::Malformed));
    }

    #[test]
    fn stamps_are_those_of_the_logs_there_are() {
        let principal = Principal::new("till-7").unwrap();
        let mut bought = Fingerprint::of_post(&["purchases"]);
        bought.text("p-1");
        bought.number(2);
        let body = br#"{"b":[1,-2.5,null,true],"a":{"c":"d"}}"#;
        let value = crate::http::json::parse(body).unwrap();
        let sent = Fingerprint::of_json(&["orders"], &value);
        let shown = |stamp: KeyStamp| {
            (u128::from_be_bytes(stamp.hash), u64::from_be_bytes(stamp.fingerprint))
        };
        assert_eq!(
            shown(bought.stamp(&principal, b"k-1")),
            (238_944_156_873_475_271_663_555_631_068_024_133_936, 9_126_451_928_845_698_938)
        );
        assert_eq!(
            shown(sent.stamp(&principal, b"k-2")),
            (266_071_440_309_429_015_240_922_024_601_037_333_991, 17_198_855_175_394_125_705)
        );
    }

    #[test]
    fn stamps_tell_principals_paths_and_neighbours_apart() {
        let stamp = |principal: &str, key: &[u8], path: &[&str]| {
            Fingerprint::of_post(path).stamp(&Principal::new(principal).unwrap(), key)
        };
        let one = stamp("ab", b"c", &["purchases"]);
        assert_eq!(one, stamp("ab", b"c", &["purchases"]));
        assert_ne!(one.hash, stamp("a", b"bc", &["purchases"]).hash);
        assert_eq!(one.hash, stamp("ab", b"c", &["products"]).hash);
        assert_ne!(one.fingerprint, stamp("ab", b"c", &["products"]).fingerprint);
    }
}
