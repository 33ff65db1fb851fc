//! An answer before it becomes HTTP: what each resource gives back.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;

/// An answer that is no problem.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) media_type: &'static str,
    pub(super) body: Bytes,
    /// Its entity tag, quoted.
    pub(super) etag: Option<String>,
    /// It was given before, under the same key.
    pub(super) replayed: bool,
    /// For answers that are no problems and yet 503.
    pub(super) retry_after: Option<&'static str>,
}

pub(super) const JSON: &str = "application/json";

impl Reply {
    pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let (media_type, etag, retry_after) = (JSON, None, None);
        Self { status, media_type, body: body.into(), etag, replayed: false, retry_after }
    }

    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn created(body: Vec<u8>, replayed: bool) -> Self {
        Self { replayed, ..Self::json(StatusCode::CREATED, body) }
    }

    pub(super) fn not_modified(etag: String) -> Self {
        Self { etag: Some(etag), ..Self::json(StatusCode::NOT_MODIFIED, Bytes::new()) }
    }

    pub(super) fn with_etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }
}
