//! A worker: takes a request through route, key, body and resource to an answer.
//!
//! One per thread and listener, shared by nothing: its client of the engine, its timer, its request
//! ids and its handles of metrics. No business rule lives here.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{Payload, Request, Response};
use actix_web::http::header::{
    ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;

use super::auth::{Doorkeeper, Keys, Scope};
use super::metrics::Meters;
use super::patience::{Patience, now};
use super::problem::{LastRefusal, Problem, ProblemType};
use super::product_list::LastPage;
use super::reply::Reply;
use super::request_id::RequestIds;
use super::route::{Route, method_label};
use super::server::Surroundings;
use super::{
    adjustments, body, cancellations, carts, history, holds, idempotency, orders, probes,
    product_list, products, purchases, query, sales, stock,
};
use crate::domain::Principal;
use crate::engine::{Client, Engine};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TIMEOUT: HeaderName = HeaderName::from_static("request-timeout-ms");

/// How long a worker waits for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) body: Duration,
    pub(super) request_default: Duration,
    pub(super) request_max: Duration,
}

/// What all workers share.
pub(super) struct Shared {
    pub(super) surroundings: Surroundings,
    pub(super) keys: Option<Keys>,
    pub(super) limits: Limits,
    /// Metrics have a listener of their own.
    pub(super) metrics_apart: bool,
}

/// Which listener a worker answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    Main,
    Metrics,
}

pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) patience: Patience,
    pub(super) meters: Meters,
    listener: Listener,
    doorkeeper: Doorkeeper,
    ids: RequestIds,
    pub(super) last_page: LastPage,
    last_refusal: LastRefusal,
}

/// A request on its way through a resource.
pub(super) struct Call<'a> {
    pub(super) worker: &'a Worker,
    pub(super) request: Request,
    payload: Cell<Option<Payload>>,
}

/// What became of a request once all of it was read.
enum Handled<L> {
    /// Its answer.
    Now(Result<Reply, Problem>),
    /// What waits for its answer, and needs nothing more of the request.
    Later(L),
}

/// Who asks under which key, and how long the engine may take.
pub(super) struct Keyed<'a> {
    pub(super) principal: Principal,
    pub(super) key: &'a [u8],
    pub(super) deadline: Duration,
}

impl Worker {
    /// Starts a worker on this thread.
    pub(super) fn start(shared: Arc<Shared>, listener: Listener) -> Rc<Self> {
        let client = Client::new(shared.surroundings.engine.clone());
        let patience = Patience::default();
        actix_rt::spawn(client.replies().deliver());
        actix_rt::spawn(patience.keep());
        let doorkeeper = Doorkeeper::new(shared.keys.clone());
        let (meters, ids) = (shared.surroundings.tallies.meters(), RequestIds::new());
        let (last_page, last_refusal) = (LastPage::default(), LastRefusal::default());
        Rc::new(Self {
            shared,
            client,
            patience,
            meters,
            listener,
            doorkeeper,
            ids,
            last_page,
            last_refusal,
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        self.client.engine()
    }

    /// Answers one request. Always `Ok`, as a service has it: a problem is an answer too.
    pub(super) async fn answer(
        self: Rc<Self>,
        mut request: Request,
    ) -> Result<Response<Bytes>, actix_http::Error> {
        let started = now();
        let payload = Cell::new(Some(request.take_payload()));
        let call = Call { worker: &self, request, payload };
        let route = self.route(&call.request);
        let (pattern, method) = (route.pattern(), method_label(call.request.method()));
        let id = self.ids.of(call.headers());
        let handled = call.handle(&route).await;
        if let Some(mut unread) = call.payload.take()
            && !matches!(unread, Payload::None)
        {
            Box::pin(body::drop_rest(&mut unread, &self.patience)).await;
        }
        // While a decision waits for the disk, the next request is read into this one's memory,
        // which a core still has in its cache.
        drop(call);
        let outcome = match handled {
            Handled::Now(outcome) => outcome,
            Handled::Later(outcome) => outcome.await,
        };
        let answer = self.finish(id, outcome);
        self.meters.observe(pattern, method, answer.status(), now() - started);
        Ok(answer)
    }

    fn finish(&self, id: HeaderValue, outcome: Result<Reply, Problem>) -> Response<Bytes> {
        let mut answer = match outcome {
            Ok(reply) => reply_answer(reply),
            Err(problem) => {
                problem_answer(&problem, id.to_str().unwrap_or_default(), &self.last_refusal)
            }
        };
        answer.headers_mut().insert(REQUEST_ID, id);
        answer
    }

    /// The resource a request names on the listener it came to.
    fn route<'a>(&self, request: &'a Request) -> Route<'a> {
        let route = Route::of(request.path());
        if !self.shared.metrics_apart {
            return route;
        }
        let on_metrics = self.listener == Listener::Metrics;
        match route {
            Route::Livez | Route::Readyz => route,
            Route::Metrics if on_metrics => route,
            Route::Metrics => Route::Unknown,
            _ if on_metrics => Route::Unknown,
            route => route,
        }
    }
}

fn reply_answer(reply: Reply) -> Response<Bytes> {
    let mut answer = Response::with_body(reply.status, reply.body);
    let headers = answer.headers_mut();
    if reply.status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.media_type));
    }
    if reply.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(etag) = reply.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(ETAG, etag);
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    answer
}

fn problem_answer(problem: &Problem, request_id: &str, last: &LastRefusal) -> Response<Bytes> {
    let kind = problem.kind;
    let body = Bytes::from(problem.body(request_id, last));
    match kind {
        ProblemType::OutcomeUnknown => {
            tracing::warn!(request_id, "the client does not know what came of its request");
        }
        _ if kind.status() >= 500 => {
            tracing::debug!(request_id, problem = kind.name(), "not now");
        }
        _ => {}
    }
    let mut answer = Response::with_body(kind.status_code(), body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(seconds) = kind.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    if let Some(allow) = problem.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if kind == ProblemType::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// What a client may send besides `application/json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    JsonOrMergePatch,
}

impl<'a> Call<'a> {
    async fn handle(
        &self,
        route: &Route<'_>,
    ) -> Handled<impl Future<Output = Result<Reply, Problem>> + use<'a>> {
        match route {
            Route::Purchases if *self.request.method() == Method::POST => {
                match purchases::create(self).await {
                    Ok(bought) => Handled::Later(bought),
                    Err(problem) => Handled::Now(Err(problem)),
                }
            }
            route => Handled::Now(self.handle_others(route).await),
        }
    }

    /// All but a purchase, the one there are many of.
    async fn handle_others(&self, route: &Route<'_>) -> Result<Reply, Problem> {
        let method = self.request.method();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match route {
            Route::Unknown => {
                let path = self.request.path();
                return Err(Problem::unknown(ProblemType::UnknownPath, "path", path));
            }
            Route::Livez if reads => return Ok(probes::livez()),
            Route::Readyz if reads => return Ok(probes::readyz(self.worker)),
            Route::Metrics if reads => {
                if !self.worker.shared.metrics_apart {
                    self.admit(Scope::Read)?;
                }
                return Ok(super::metrics::render(&self.worker.shared.surroundings));
            }
            _ => {}
        }
        let posts = *method == Method::POST;
        let patches = *method == Method::PATCH;
        let answer = match route {
            Route::Order(id) if reads => orders::show(self, id),
            Route::Orders if reads => Box::pin(orders::list(self)).await,
            Route::History(id) if reads => Box::pin(history::list(self, id)).await,
            Route::Orders if posts => Box::pin(carts::create(self)).await,
            Route::OrderCancel(id) if posts => Box::pin(cancellations::create(self, id)).await,
            Route::Holds if posts => Box::pin(holds::create(self)).await,
            Route::Hold(id) if reads => holds::show(self, id),
            Route::Hold(id) if *method == Method::DELETE => {
                Box::pin(holds::release(self, id)).await
            }
            Route::HoldExtend(id) if posts => Box::pin(holds::extend(self, id)).await,
            Route::HoldConfirm(id) if posts => Box::pin(holds::confirm(self, id)).await,
            Route::Sales if reads => sales::show_all(self),
            Route::Sales if patches => Box::pin(sales::change_all(self)).await,
            Route::Stock(id) if reads => stock::show(self, id),
            Route::Products if reads => product_list::list(self),
            // Boxed, so that the future of a purchase stays small.
            Route::Products if posts => Box::pin(products::create(self)).await,
            Route::Product(id) if reads => products::show(self, id),
            Route::Product(id) if patches => Box::pin(products::change(self, id)).await,
            Route::Adjustments(id) if posts => Box::pin(adjustments::create(self, id)).await,
            Route::Sale(id) if patches => Box::pin(sales::change(self, id)).await,
            route => Err(Problem::not_allowed(route.allow())),
        };
        // Only a POST has a key to be the same.
        answer.map_err(|problem| if posts { problem } else { problem.without_key() })
    }

    /// Who asks, once the server has started and if they may.
    ///
    /// # Errors
    /// Starting, no valid key, a key without the scope, or a query where there is none.
    pub(super) fn admit_plain(&self, scope: Scope) -> Result<Principal, Problem> {
        let principal = self.admit_started(scope)?;
        query::none(self.query())?;
        Ok(principal)
    }

    /// As [`Self::admit_plain`], for what is asked under a key, and how long it may take.
    ///
    /// # Errors
    /// As [`Self::admit_plain`]; no key, or a header that is none.
    pub(super) fn admit_keyed(&self, scope: Scope) -> Result<Keyed<'_>, Problem> {
        let principal = self.admit_plain(scope)?;
        let key = idempotency::key(self.headers())?;
        let deadline = self.time_to_decide()?;
        Ok(Keyed { principal, key, deadline })
    }

    /// As [`Self::admit_plain`], for what has a query.
    ///
    /// # Errors
    /// Starting, no valid key, or a key without the scope.
    pub(super) fn admit_started(&self, scope: Scope) -> Result<Principal, Problem> {
        let principal = self.admit(scope)?;
        if !self.worker.engine().has_started() {
            return Err(Problem::new(ProblemType::Starting, "the log is still being read"));
        }
        Ok(principal)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.request.head().headers
    }

    /// What stands behind the path's `?`.
    pub(super) fn query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    fn admit(&self, scope: Scope) -> Result<Principal, Problem> {
        self.worker.doorkeeper.admit(self.headers(), scope)
    }

    /// The body of a request in JSON.
    ///
    /// # Errors
    /// Another media type, too large, too slow, or broken off.
    pub(super) async fn json_body(&self) -> Result<Bytes, Problem> {
        self.body(Media::Json, body::BODY_BYTES_MAX).await
    }

    /// The body of a request with lines.
    ///
    /// # Errors
    /// As [`Self::json_body`].
    pub(super) async fn cart_body(&self) -> Result<Bytes, Problem> {
        self.body(Media::Json, body::CART_BYTES_MAX).await
    }

    /// As [`Self::cart_body`], where no body at all means an empty object.
    ///
    /// # Errors
    /// As [`Self::json_body`].
    pub(super) async fn cart_body_or_none(&self) -> Result<Bytes, Problem> {
        const NOTHING: Bytes = Bytes::from_static(b"{}");
        let headers = self.headers();
        let none = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if none && !headers.contains_key(TRANSFER_ENCODING) {
            return Ok(NOTHING);
        }
        self.cart_body().await
    }

    /// The body of a merge-patch.
    ///
    /// # Errors
    /// As [`Self::json_body`].
    pub(super) async fn patch_body(&self) -> Result<Bytes, Problem> {
        self.body(Media::JsonOrMergePatch, body::BODY_BYTES_MAX).await
    }

    async fn body(&self, media: Media, bytes_max: usize) -> Result<Bytes, Problem> {
        let headers = self.headers();
        if !is_json(headers.get(CONTENT_TYPE), media) {
            let detail = "send Content-Type: application/json";
            return Err(Problem::new(ProblemType::UnsupportedMediaType, detail));
        }
        if headers.contains_key(CONTENT_ENCODING) {
            let detail = "send the body as it is, without a Content-Encoding";
            return Err(Problem::new(ProblemType::UnsupportedMediaType, detail));
        }
        let Some(mut payload) = self.payload.take() else { return Ok(Bytes::new()) };
        let bounds = body::Bounds { bytes_max, patient_for: self.worker.shared.limits.body };
        body::read(&mut payload, headers, &self.worker.patience, bounds).await
    }

    /// How long the engine may take, by `Request-Timeout-Ms`.
    ///
    /// # Errors
    /// The header is no number of milliseconds within its bounds.
    pub(super) fn time_to_decide(&self) -> Result<Duration, Problem> {
        let limits = &self.worker.shared.limits;
        let Some(value) = self.headers().get(TIMEOUT) else {
            return Ok(limits.request_default);
        };
        let ms = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let ms = ms.and_then(|text| text.parse().ok()).map(Duration::from_millis);
        ms.filter(|ms| !ms.is_zero() && *ms <= limits.request_max).ok_or_else(|| {
            let max_ms = limits.request_max.as_millis();
            Problem::malformed(format!("Request-Timeout-Ms must be 1 to {max_ms}"))
        })
    }
}

fn is_json(value: Option<&HeaderValue>, media: Media) -> bool {
    let Some(value) = value.map(HeaderValue::as_bytes) else { return false };
    if value == b"application/json" {
        return true;
    }
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let merge_patch = media == Media::JsonOrMergePatch
        && essence.eq_ignore_ascii_case(b"application/merge-patch+json");
    merge_patch || essence.eq_ignore_ascii_case(b"application/json")
}
