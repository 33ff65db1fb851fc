//! `X-Request-Id`: the client's own where it can be shown, otherwise one made here.
//!
//! Made ids are a random word of the worker and a counter: unique, and no system call each.

use std::cell::Cell;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const BYTES_MAX: usize = 128;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The ids of one worker.
pub(super) struct RequestIds {
    word: u64,
    next: Cell<u64>,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // Without randomness ids are still unique within the worker.
        Self { word: getrandom::u64().unwrap_or(0), next: Cell::new(0) }
    }

    /// The id of a request. One that is too long or not visible ASCII without quotes is replaced.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(REQUEST_ID) {
            Some(given) if can_be_shown(given.as_bytes()) => given.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.get();
        self.next.set(number.wrapping_add(1));
        let mut text = [b'-'; 25];
        let (word, count) = text.split_at_mut(16);
        hex(self.word, word);
        hex(number, count.get_mut(1..).unwrap_or_default());
        HeaderValue::from_bytes(&text).expect("hexadecimal digits and a hyphen")
    }
}

/// The low digits of a number, as many as there is room for.
fn hex(mut number: u64, room: &mut [u8]) {
    for byte in room.iter_mut().rev() {
        *byte = DIGITS.get(number as usize & 15).copied().unwrap_or(b'0');
        number >>= 4;
    }
}

fn can_be_shown(id: &[u8]) -> bool {
    let visible = |byte: &u8| (b'!'..=b'~').contains(byte) && !matches!(*byte, b'"' | b'\\');
    (1..=BYTES_MAX).contains(&id.len()) && id.iter().all(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_ids_are_echoed_and_bad_ones_replaced() {
        let ids = RequestIds::new();
        let of = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
            ids.of(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(of("order-7/a"), "order-7/a");
        let mut made: Vec<String> =
            ["", "a b", "a\"", "a\\", &"x".repeat(129)].map(of).into_iter().collect();
        assert!(made.iter().all(|id| id.len() == 25), "{made:?}");
        made.dedup();
        assert_eq!(made.len(), 5);
    }
}
