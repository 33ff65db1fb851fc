//! Problems: everything this server says when it does not do what was asked (RFC 9457).
//!
//! The list is closed: a client can handle all of it, `docs/problems.md` explains each, and a test
//! compares the two. Status codes of problems live here alone.

use std::borrow::Cow;
use std::cell::RefCell;

use actix_web::http::StatusCode;

use super::refused;
use super::render::{self, Json};
use crate::domain::Refusal;

/// What a client may do with the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Nothing: the same request gets the same answer, or had better not be sent again.
    Never,
    /// Send it again with the same key.
    SameKey,
    /// Wait, then send it again.
    Later,
}

impl Retry {
    /// Its word in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::SameKey => "same_key",
            Self::Later => "later",
        }
    }
}

/// What every problem's `type` begins with.
pub const PROBLEM_PREFIX: &str = "urn:doorbuster:problem:";

macro_rules! problem_types {
    ($($variant:ident = $status:literal $name:literal, $title:literal, $retry:ident, $after:expr;)*) => {
        /// The problems there are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "docs/problems.md explains each")]
        pub enum ProblemType { $($variant),* }

        impl ProblemType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name, behind [`PROBLEM_PREFIX`] in `type`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its status code.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// What it says of all its occurrences.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What a client may do, where the request has a key.
            #[must_use]
            pub fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry),* }
            }

            /// Seconds of `Retry-After`, on those that pass by themselves.
            #[must_use]
            pub fn retry_after(self) -> Option<&'static str> {
                match self { $(Self::$variant => $after),* }
            }
        }
    };
}

problem_types! {
    Malformed = 400 "malformed", "malformed request", Never, None;
    KeyMissing = 400 "key-missing", "Idempotency-Key is missing", Never, None;
    Unauthenticated = 401 "unauthenticated", "no valid API key", Never, None;
    Forbidden = 403 "forbidden", "the API key lacks a scope", Never, None;
    UnknownProduct = 404 "unknown-product", "no such product", Never, None;
    UnknownOrder = 404 "unknown-order", "no such order", Never, None;
    UnknownHold = 404 "unknown-hold", "no such hold", Never, None;
    UnknownPath = 404 "unknown-path", "no such path", Never, None;
    MethodNotAllowed = 405 "method-not-allowed", "method not allowed", Never, None;
    RequestTimeout = 408 "request-timeout", "the request came too slowly", SameKey, None;
    SoldOut = 409 "sold-out", "sold out", Never, None;
    LimitReached = 409 "limit-reached", "the buyer's limit is reached", Never, None;
    NotOpen = 409 "not-open", "the sale has not opened", Later, None;
    Closed = 409 "closed", "the sale is closed", Never, None;
    Paused = 409 "paused", "the sale is paused", Later, None;
    AlreadyExists = 409 "already-exists", "the product exists already", Never, None;
    StockChanged = 409 "stock-changed", "the stock is not the expected one", Never, None;
    WouldOversell = 409 "would-oversell", "more is sold or held than would be left", Never, None;
    HoldExpired = 409 "hold-expired", "the hold has expired", Never, None;
    HoldConfirmed = 409 "hold-confirmed", "the hold is confirmed", Never, None;
    HoldReleased = 409 "hold-released", "the hold is released", Never, None;
    AlreadyCancelled = 409 "already-cancelled", "the order is cancelled already", Never, None;
    KeyInFlight = 409 "key-in-flight", "the key's first request is under way", SameKey, Some("1");
    PreconditionFailed = 412 "precondition-failed", "the terms have changed", Never, None;
    TooLarge = 413 "too-large", "the request is too large", Never, None;
    UnsupportedMediaType = 415 "unsupported-media-type", "the body is not JSON", Never, None;
    KeyReused = 422 "key-reused", "the key belongs to another request", Never, None;
    Invalid = 422 "invalid", "the request is not valid", Never, None;
    Overloaded = 503 "overloaded", "too much at once", Later, Some("1");
    Starting = 503 "starting", "the server is starting", Later, Some("1");
    DiskLow = 503 "disk-low", "no room to record another decision", Later, Some("10");
    DatabaseUnavailable = 503 "database-unavailable", "the database is not there", Later, Some("5");
    NotDecided = 503 "not-decided", "nothing was decided in time", SameKey, Some("1");
    OutcomeUnknown = 503 "outcome-unknown", "it happened once or not at all", SameKey, Some("1");
}

impl ProblemType {
    /// Its status code, as the server writes it.
    #[must_use]
    pub(super) fn status_code(self) -> StatusCode {
        StatusCode::from_u16(self.status()).expect("the table has status codes only")
    }
}

/// How much of a name that means nothing is shown.
const NAME_CHARS_SHOWN: usize = 100;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldError {
    /// JSON pointer into the body; `?name` for a parameter of the query.
    pub(super) pointer: String,
    /// What is wrong there.
    pub(super) detail: String,
}

/// The refusal a worker told last, as it wrote it: of a product that is sold out, many hear the same.
#[derive(Default)]
pub(super) struct LastRefusal(RefCell<Option<(Refusal, Vec<u8>)>>);

/// One occurrence of a problem.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) kind: ProblemType,
    about: About,
    retry: Retry,
}

/// What an occurrence says of itself.
#[derive(Debug)]
enum About {
    Text(Cow<'static, str>),
    /// The domain's own words and figures, written without an allocation.
    Refusal(Refusal),
    Errors(Vec<FieldError>),
    /// The methods a path has.
    Allow(&'static str),
}

impl Problem {
    pub(super) fn new(kind: ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::about(kind, About::Text(detail.into()))
    }

    fn about(kind: ProblemType, about: About) -> Self {
        Self { kind, about, retry: kind.retry() }
    }

    /// As it is told to a request that has no key, so that none can be the same: what a key would
    /// make safe to send again at any time is for the client to look at first.
    pub(super) fn without_key(self) -> Self {
        match self.retry {
            Retry::SameKey => Self { retry: Retry::Later, ..self },
            Retry::Never | Retry::Later => self,
        }
    }

    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemType::Malformed, detail)
    }

    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        assert!(!errors.is_empty(), "an invalid request has something wrong");
        Self::about(ProblemType::Invalid, About::Errors(errors))
    }

    pub(super) fn not_allowed(allow: &'static str) -> Self {
        Self::about(ProblemType::MethodNotAllowed, About::Allow(allow))
    }

    /// Nothing has this name: `what` says of which kind it would be.
    pub(super) fn unknown(kind: ProblemType, what: &str, name: &str) -> Self {
        // A path may be long; nobody reads more.
        let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
        Self::new(kind, format!("no {what} {name:?}"))
    }

    pub(super) fn unknown_product(product_id: &str) -> Self {
        Self::unknown(ProblemType::UnknownProduct, "product", product_id)
    }

    /// None of these products exists.
    pub(super) fn unknown_products(product_ids: &[&str]) -> Self {
        let names: Vec<String> = product_ids.iter().map(|id| format!("{id:?}")).collect();
        Self::new(ProblemType::UnknownProduct, format!("no product {}", names.join(", ")))
    }

    /// The key made a record of another kind than this request would.
    pub(super) fn key_reused() -> Self {
        let detail = "this Idempotency-Key was used with another method, path or body";
        Self::new(ProblemType::KeyReused, detail)
    }

    /// The methods for the `Allow` header.
    pub(super) fn allow(&self) -> Option<&'static str> {
        match self.about {
            About::Allow(allow) => Some(allow),
            _ => None,
        }
    }

    /// Its body: what is told of it, and to which request.
    pub(super) fn body(&self, request_id: &str, last: &LastRefusal) -> Vec<u8> {
        let of_request = |told: &[u8]| render::with_plain(told, "request_id", request_id);
        match &self.about {
            About::Refusal(refusal) => last.told(refusal, || self.told(), of_request),
            _ => of_request(&self.told()),
        }
    }

    /// What every request is told.
    fn told(&self) -> Vec<u8> {
        Json::whole(384, |fields| {
            fields.joined("type", PROBLEM_PREFIX, self.kind.name());
            fields.plain("title", self.kind.title());
            fields.number("status", u64::from(self.kind.status()));
            match &self.about {
                About::Text(detail) => fields.text("detail", detail),
                About::Refusal(refusal) => {
                    fields.display("detail", refusal);
                    refused::figures(refusal, fields);
                }
                About::Errors(errors) => {
                    fields.plain("detail", "see errors");
                    fields.array("errors", errors, |error, item| {
                        item.object(|fields| {
                            fields.text("pointer", &error.pointer);
                            fields.text("detail", &error.detail);
                        });
                    });
                }
                About::Allow(allow) => fields.display("detail", format_args!("use {allow}")),
            }
            fields.plain("retry", self.retry.as_str());
        })
    }
}

impl LastRefusal {
    /// Reads what is told of a refusal: kept from the last time, or else written and kept.
    fn told<R>(
        &self,
        refusal: &Refusal,
        write: impl FnOnce() -> Vec<u8>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let mut last = self.0.borrow_mut();
        let same = last.take().filter(|(told, _)| told == refusal);
        read(&last.insert(same.unwrap_or_else(|| (refusal.clone(), write()))).1)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = refused::problem_type(&refusal);
        match refused::field_error(&refusal) {
            Some(error) => Self::invalid(vec![error]),
            None => Self::about(kind, About::Refusal(refusal)),
        }
    }
}
