//! Reading JSON into a tree that keeps what a map would lose: repeated names, and numbers that
//! are no integers.
//!
//! Bounded: bodies have at most 64 KiB when they come here, and nest at most [`DEPTH_MAX`] deep.
//! Broken JSON is "malformed", with line and column; whatever is well-formed but not allowed is
//! "invalid".

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::problem::{FieldError, Problem};

/// No body of this API nests deeper than 4.
pub(super) const DEPTH_MAX: usize = 16;

const TOO_DEEP: &str = "nests too deep";

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    /// An integer between -2^63 and 2^64.
    Integer(i128),
    /// A number with a fraction, an exponent, or too many digits.
    Other(f64),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// Members as they came, repeated ones too.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Reads a body.
///
/// # Errors
/// Malformed or nested too deep.
pub(super) fn parse(body: &[u8]) -> Result<Value<'_>, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Seed { depth: 0 }.deserialize(&mut reader);
    value.and_then(|value| reader.end().map(|()| value)).map_err(problem)
}

fn problem(error: serde_json::Error) -> Problem {
    let text = error.to_string();
    let invalid =
        |detail: String| Problem::invalid(vec![FieldError { pointer: String::new(), detail }]);
    if error.is_data() {
        return invalid(format!("{TOO_DEEP}: at most {DEPTH_MAX} levels"));
    }
    // Digits that no float can hold are well-formed all the same.
    if text.starts_with("number out of range") {
        return invalid(text);
    }
    Problem::malformed(format!("the body is not JSON: {text}"))
}

struct Seed {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value<'de>, D::Error> {
        from.deserialize_any(self)
    }
}

impl Seed {
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth < DEPTH_MAX { Ok(self.depth + 1) } else { Err(E::custom(TOO_DEEP)) }
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, is: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(is))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number.into()))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number.into()))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'de>, E> {
        Ok(Value::Other(number))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::String(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let depth = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { depth })? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let depth = self.deeper()?;
        let mut object = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            object.push((name, members.next_value_seed(Seed { depth })?));
        }
        Ok(Value::Object(object))
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Value<'_> {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Other(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Adds it to a fingerprint: the order of members does not matter, and a member that is null
    /// is as one that is not there.
    pub(super) fn hash(&self, into: &mut Sha256) {
        match self {
            Self::Null => into.update(b"n"),
            Self::Bool(is) => into.update(if *is { b"t" } else { b"f" }),
            Self::Integer(number) => {
                into.update(b"i");
                into.update(number.to_le_bytes());
            }
            Self::Other(number) => {
                into.update(b"d");
                into.update(number.to_bits().to_le_bytes());
            }
            Self::String(text) => hash_text(text, into),
            Self::Array(items) => {
                into.update(b"[");
                items.iter().for_each(|item| item.hash(into));
                into.update(b"]");
            }
            Self::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().filter(|(_, value)| *value != Self::Null).collect();
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                into.update(b"{");
                for (name, value) in members {
                    hash_text(name, into);
                    value.hash(into);
                }
                into.update(b"}");
            }
        }
    }
}

fn hash_text(text: &str, into: &mut Sha256) {
    into.update(b"s");
    into.update((text.len() as u64).to_le_bytes());
    into.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::ProblemType;

    fn fingerprint(body: &str) -> Vec<u8> {
        let mut hash = Sha256::new();
        parse(body.as_bytes()).unwrap().hash(&mut hash);
        hash.finalize().to_vec()
    }

    #[test]
    fn spacing_order_and_null_do_not_change_a_fingerprint() {
        let same = fingerprint(r#"{"a":1,"b":"x","c":[{"d":2}]}"#);
        assert_eq!(
            same,
            fingerprint(" { \"b\" : \"\\u0078\", \"c\":[{\"e\":null,\"d\":2}],\n\"a\":1}")
        );
        for other in [
            r#"{"a":1,"b":"x","c":[]}"#,
            r#"{"a":1,"b":"y","c":[{"d":2}]}"#,
            r#"{"a":"1","b":"x","c":[{"d":2}]}"#,
            r#"{"a":1,"b":"x","c":[{"d":2},{}]}"#,
        ] {
            assert_ne!(same, fingerprint(other), "{other}");
        }
    }

    #[test]
    fn broken_is_malformed_and_deep_is_invalid() {
        let kind = |body: &[u8]| parse(body).map(drop).map_err(|problem| problem.kind);
        for broken in ["", "{", "{]", "{\"a\":1,}", "{} {}", "nul", "'a'", "\"\\ud800\"", "01"] {
            assert_eq!(kind(broken.as_bytes()), Err(ProblemType::Malformed), "{broken}");
        }
        assert_eq!(kind(b"\"\xff\""), Err(ProblemType::Malformed));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(kind(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(kind(nested(DEPTH_MAX + 1).as_bytes()), Err(ProblemType::Invalid));
        assert_eq!(kind("[".repeat(60_000).as_bytes()), Err(ProblemType::Invalid));
        assert_eq!(kind(b"1e999"), Err(ProblemType::Invalid));
    }

    #[test]
    fn repeated_members_are_kept() {
        let Ok(Value::Object(members)) = parse(br#"{"a":1,"a":2}"#) else { panic!() };
        assert_eq!(members.len(), 2);
    }
}
