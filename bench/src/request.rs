//! Requests as bytes: written whole for single calls, as a template for load.
//!
//! A [`Template`] is built once per connection; each further request only overwrites the digits of
//! its key and its buyer, so that making a request costs the client tens of nanoseconds.

use std::fmt::Write as _;
use std::ops::Range;

/// Digits of a number in a template: a run of up to 10^16 requests keeps its keys apart.
const DIGITS: usize = 16;

/// What stands before a key.
const KEY_FIELD: &str = "idempotency-key: ";

/// A request whose key and buyer can be changed in place.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    key: Option<Range<usize>>,
    buyer: Option<Range<usize>>,
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
    /// One unit of a product for one buyer; keys begin with `prefix`.
    #[must_use]
    pub fn purchase(product_id: &str, prefix: &str) -> Self {
        let zeros = "0".repeat(DIGITS);
        let before_buyer = format!(r#"{{"product_id":"{product_id}","buyer_id":"b"#);
        let body = format!(r#"{before_buyer}{zeros}","quantity":1}}"#);
        let mut text = String::new();
        post_into(&mut text, "/v1/purchases", &format!("{prefix}{zeros}"), &body);
        let key = text.find(KEY_FIELD).map(|field| field + KEY_FIELD.len() + prefix.len());
        let buyer = text.len() - body.len() + before_buyer.len();
        let digits = |start: usize| start..start + DIGITS;
        Self { key: key.map(digits), buyer: Some(digits(buyer)), bytes: text.into_bytes() }
    }

    /// A product's stock: the same bytes each time.
    #[must_use]
    pub fn stock(product_id: &str) -> Self {
        let bytes = get(&format!("/v1/products/{product_id}/stock"));
        Self { bytes, key: None, buyer: None }
    }

    /// The request with this number in its key and in its buyer.
    pub fn numbered(&mut self, number: u64) -> &[u8] {
        for place in [self.key.clone(), self.buyer.clone()].into_iter().flatten() {
            let digits = self.bytes.get_mut(place).unwrap_or_default();
            let mut rest = number;
            for digit in digits.iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_changes_key_and_buyer_and_nothing_else() {
        let mut template = Template::purchase("sku-1", "k-7-");
        let first = template.numbered(0).to_vec();
        let text = String::from_utf8(template.numbered(1_234_567).to_vec()).expect("text");
        assert_eq!(text.len(), first.len());
        assert!(text.contains("idempotency-key: k-7-0000000001234567\r\n"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert_eq!(body, r#"{"product_id":"sku-1","buyer_id":"b0000000001234567","quantity":1}"#);
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert_eq!(template.numbered(0), first, "no digit stays behind");
    }

    #[test]
    fn zeros_around_the_digits_stay() {
        for prefix in ["r0", "0", "0000000000000000", ""] {
            let mut template = Template::purchase("p0000000000000000", prefix);
            let text = String::from_utf8(template.numbered(42).to_vec()).expect("text");
            let key = format!("idempotency-key: {prefix}0000000000000042\r\n");
            assert!(text.contains(&key), "{text}");
            let body = r#"{"product_id":"p0000000000000000","buyer_id":"b0000000000000042","#;
            assert!(text.contains(body), "{text}");
        }
    }

    #[test]
    fn reading_stock_has_nothing_to_change() {
        let mut template = Template::stock("sku-1");
        let text = String::from_utf8(template.numbered(9).to_vec()).expect("text");
        assert_eq!(text, "GET /v1/products/sku-1/stock HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
}
