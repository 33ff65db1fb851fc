//! Writing JSON by hand: one buffer, no tree, no formatting machinery for numbers and times.
//!
//! Field names and everything written by [`Fields::plain`] are ours or already checked to need no
//! escaping; whatever a person may have written goes through [`Fields::text`].

use std::fmt::{self, Write as _};

use super::time;
use crate::domain::Money;

/// A JSON document in the making.
pub(super) struct Json {
    out: Vec<u8>,
}

/// The fields of an object in the making.
pub(super) struct Fields<'a> {
    out: &'a mut Json,
    first: bool,
}

impl Json {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn object(&mut self, write: impl FnOnce(&mut Fields<'_>)) {
        self.out.push(b'{');
        write(&mut Fields { out: self, first: true });
        self.out.push(b'}');
    }

    pub(super) fn number(&mut self, number: u64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn escaped(&mut self, text: &str) {
        // Writing a string into memory does not fail.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    /// One object of its own.
    pub(super) fn whole(bytes: usize, write: impl FnOnce(&mut Fields<'_>)) -> Vec<u8> {
        let mut json = Self::with_capacity(bytes);
        json.object(write);
        json.into_bytes()
    }
}

/// An object with one more field: a string that needs no escaping.
pub(super) fn with_plain(object: &[u8], name: &'static str, text: &str) -> Vec<u8> {
    let open = object.strip_suffix(b"}").unwrap_or(object);
    let mut json = Json::with_capacity(open.len() + name.len() + text.len() + 7);
    json.out.extend_from_slice(open);
    Fields { out: &mut json, first: open == b"{" }.plain(name, text);
    json.out.push(b'}');
    json.into_bytes()
}

impl Fields<'_> {
    fn name(&mut self, name: &'static str) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.out.push(b',');
        }
        self.out.out.push(b'"');
        self.out.raw(name);
        self.out.raw("\":");
    }

    /// A string that needs no escaping: an id, a word of ours.
    pub(super) fn plain(&mut self, name: &'static str, text: &str) {
        self.joined(name, text, "");
    }

    /// Two strings that need no escaping, as one.
    pub(super) fn joined(&mut self, name: &'static str, first: &str, second: &str) {
        debug_assert!(
            first.bytes().chain(second.bytes()).all(|b| b >= 0x20 && b != b'"' && b != b'\\'),
            "{first}{second} needs escaping"
        );
        self.name(name);
        self.out.out.push(b'"');
        self.out.raw(first);
        self.out.raw(second);
        self.out.out.push(b'"');
    }

    /// A string that may need escaping.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        self.out.escaped(text);
    }

    /// Something of ours that displays itself without characters that need escaping.
    pub(super) fn display(&mut self, name: &'static str, value: impl fmt::Display) {
        self.name(name);
        self.out.out.push(b'"');
        // Writing into memory does not fail.
        let _ = write!(Unescaped(&mut self.out.out), "{value}");
        self.out.out.push(b'"');
    }

    pub(super) fn number(&mut self, name: &'static str, number: u64) {
        self.name(name);
        self.out.number(number);
    }

    pub(super) fn signed(&mut self, name: &'static str, number: i64) {
        self.name(name);
        self.out.raw(itoa::Buffer::new().format(number));
    }

    /// A value that is JSON already.
    pub(super) fn json(&mut self, name: &'static str, json: &str) {
        self.name(name);
        self.out.raw(json);
    }

    /// A share from 0 to 1, to three places.
    pub(super) fn ratio(&mut self, name: &'static str, ratio: f64) {
        self.name(name);
        let _ = write!(Unescaped(&mut self.out.out), "{:.3}", ratio.clamp(0.0, 1.0));
    }

    pub(super) fn boolean(&mut self, name: &'static str, is: bool) {
        self.name(name);
        self.out.raw(if is { "true" } else { "false" });
    }

    pub(super) fn null(&mut self, name: &'static str) {
        self.name(name);
        self.out.raw("null");
    }

    /// A moment, in RFC 3339 with milliseconds.
    pub(super) fn time(&mut self, name: &'static str, at_ms: u64) {
        self.name(name);
        self.out.out.push(b'"');
        time::write(at_ms, &mut self.out.out);
        self.out.out.push(b'"');
    }

    pub(super) fn money(&mut self, name: &'static str, money: Money) {
        self.object(name, |fields| {
            fields.number("amount_minor", money.amount_minor());
            fields.plain("currency", money.currency().as_str());
        });
    }

    /// The value if there is one, else null.
    pub(super) fn or_null<T>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        write: impl FnOnce(&mut Self, &'static str, T),
    ) {
        match value {
            Some(value) => write(self, name, value),
            None => self.null(name),
        }
    }

    pub(super) fn object(&mut self, name: &'static str, write: impl FnOnce(&mut Fields<'_>)) {
        self.name(name);
        self.out.object(write);
    }

    pub(super) fn array<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Json),
    ) {
        self.name(name);
        self.out.out.push(b'[');
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.out.out.push(b',');
            }
            write(item, self.out);
        }
        self.out.out.push(b']');
    }
}

/// Bytes that take what displays itself; a quote or control character would break the document,
/// so it becomes a space.
struct Unescaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Unescaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let safe =
            |byte: u8| if byte < 0x20 || byte == b'"' || byte == b'\\' { b' ' } else { byte };
        self.0.extend(text.bytes().map(safe));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Currency;

    #[test]
    fn object_takes_one_more_field() {
        assert_eq!(with_plain(b"{}", "id", "a"), br#"{"id":"a"}"#);
        assert_eq!(with_plain(br#"{"n":{}}"#, "id", "a"), br#"{"n":{},"id":"a"}"#);
    }

    #[test]
    fn document_reads_back_as_written() {
        let gbp = Currency::new("GBP").unwrap();
        let bytes = Json::whole(64, |fields| {
            fields.plain("id", "a:b");
            fields.text("name", "a \"quoted\"\n\u{1} ä");
            fields.signed("delta", -5);
            fields.time("at", 1_767_225_600_007);
            fields.or_null("price", Money::new(250, gbp).ok(), Fields::money);
            fields.or_null("none", None::<u64>, Fields::number);
            fields.array("list", [1, 2], |item, json| json.number(item));
            fields.display("shown", format_args!("a \"b\""));
        });
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            read,
            serde_json::json!({
                "id": "a:b", "name": "a \"quoted\"\n\u{1} ä", "delta": -5,
                "at": "2026-01-01T00:00:00.007Z",
                "price": {"amount_minor": 250, "currency": "GBP"}, "none": null,
                "list": [1, 2], "shown": "a  b "
            })
        );
    }
}
