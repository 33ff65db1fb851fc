//! Requests as bytes: written whole for single calls, as a template for load.
//!
//! A [`Template`] is built once; each further request only overwrites the digits of its key, its buyer
//! and its products, so that making a request costs the client tens of nanoseconds.

use std::fmt::Write as _;
use std::ops::Range;

use crate::load::work::PRODUCT_DIGITS;

/// Digits of a number in a template: a run of up to 10^16 requests keeps its keys apart.
const DIGITS: usize = 16;

/// What stands before a key.
const KEY_FIELD: &str = "idempotency-key: ";

/// Bytes of an order's or a hold's id.
pub const ID_BYTES: usize = 25;

/// Part of a request that is built once and then changed in place.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// The same each time.
    Text(&'a str),
    /// The request's number.
    Number,
    /// A product's number.
    Product,
    /// An id of [`ID_BYTES`].
    Id,
}

/// A request whose numbers can be changed in place.
#[derive(Debug, Clone, Default)]
pub struct Template {
    bytes: Vec<u8>,
    numbers: Vec<Range<usize>>,
    products: Vec<Range<usize>>,
    ids: Vec<Range<usize>>,
}

/// The bytes of a GET.
#[must_use]
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// A PATCH of `path` by `body`, or its DELETE; neither has a key.
#[must_use]
pub fn change(path: &str, body: Option<&str>) -> Vec<u8> {
    let Some(body) = body else {
        return format!("DELETE {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes();
    };
    let length = body.len();
    format!(
        "PATCH {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The bytes of a POST of JSON under an idempotency key.
#[must_use]
pub fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    let mut text = String::with_capacity(160 + body.len());
    post_into(&mut text, path, key, body);
    text.into_bytes()
}

/// As [`post`], into `out`, whose room is used again.
pub fn post_into(out: &mut String, path: &str, key: &str, body: &str) {
    out.clear();
    let length = body.len();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         {KEY_FIELD}{key}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
}

impl Template {
    /// A GET of a path.
    #[must_use]
    pub fn get(path: &[Piece<'_>]) -> Self {
        let mut template = Self::default();
        template.push(&[Piece::Text("GET ")]);
        template.push(path);
        template.push(&[Piece::Text(" HTTP/1.1\r\nhost: localhost\r\n\r\n")]);
        template
    }

    /// A POST of JSON; its key is `key_prefix` and the request's number.
    #[must_use]
    pub fn post(path: &[Piece<'_>], key_prefix: &str, body: &[Piece<'_>]) -> Self {
        let mut measured = Self::default();
        measured.push(body);
        let length = format!("\r\ncontent-length: {}\r\n\r\n", measured.bytes.len());
        let mut template = Self::default();
        template.push(&[Piece::Text("POST ")]);
        template.push(path);
        template.push(&[
            Piece::Text(" HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"),
            Piece::Text(KEY_FIELD),
            Piece::Text(key_prefix),
            Piece::Number,
            Piece::Text(&length),
        ]);
        template.push(body);
        template
    }

    fn push(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            let start = self.bytes.len();
            let (places, bytes) = match piece {
                Piece::Text(text) => {
                    self.bytes.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Number => (&mut self.numbers, DIGITS),
                Piece::Product => (&mut self.products, PRODUCT_DIGITS),
                Piece::Id => (&mut self.ids, ID_BYTES),
            };
            places.push(start..start + bytes);
            self.bytes.resize(start + bytes, b'0');
        }
    }

    /// How many products it names by number.
    #[must_use]
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// Writes the request's number into its key and its buyer.
    pub fn set_number(&mut self, number: u64) {
        for place in &self.numbers {
            write_digits(self.bytes.get_mut(place.clone()).unwrap_or_default(), number);
        }
    }

    /// Writes the number of its n-th product, from 0.
    pub fn set_product(&mut self, nth: usize, number: u64) {
        let place = self.products.get(nth).cloned().unwrap_or_default();
        write_digits(self.bytes.get_mut(place).unwrap_or_default(), number);
    }

    /// Writes the id of an order or a hold.
    pub fn set_id(&mut self, id: &[u8; ID_BYTES]) {
        for place in &self.ids {
            if let Some(bytes) = self.bytes.get_mut(place.clone()) {
                bytes.copy_from_slice(id);
            }
        }
    }

    /// The request.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn write_digits(digits: &mut [u8], number: u64) {
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: [Piece<'_>; 5] = [
        Piece::Text(r#"{"product_id":"p"#),
        Piece::Product,
        Piece::Text(r#"","buyer_id":"b"#),
        Piece::Number,
        Piece::Text(r#"","quantity":1}"#),
    ];

    fn text(template: &Template) -> String {
        String::from_utf8(template.bytes().to_vec()).expect("text")
    }

    #[test]
    fn a_template_changes_its_numbers_and_nothing_else() {
        for prefix in ["r0", "0", "0000000000000000", ""] {
            let mut template = Template::post(&[Piece::Text("/v1/purchases")], prefix, &BODY);
            let first = text(&template);
            template.set_number(1_234_567);
            template.set_product(0, 89);
            let changed = text(&template);
            assert_eq!(changed.len(), first.len());
            let key = format!("idempotency-key: {prefix}0000000001234567\r\n");
            assert!(changed.contains(&key), "{changed}");
            let (head, body) = changed.split_once("\r\n\r\n").expect("head and body");
            let expected =
                r#"{"product_id":"p00000089","buyer_id":"b0000000001234567","quantity":1}"#;
            assert_eq!(body, expected);
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
            template.set_number(0);
            template.set_product(0, 0);
            assert_eq!(text(&template), first, "no digit stays behind");
        }
    }

    #[test]
    fn a_get_has_no_key() {
        let path = [Piece::Text("/v1/products/p"), Piece::Product, Piece::Text("/stock")];
        let mut template = Template::get(&path);
        template.set_number(9);
        template.set_product(0, 12);
        let expected = "GET /v1/products/p00000012/stock HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert_eq!(text(&template), expected);
    }
}
