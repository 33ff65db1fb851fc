//! The peer that does nothing: a plain actix-web server with the engine's front and no engine.
//!
//! It parses the same purchase, borrowed from its bytes, asks for the same headers, listens with the
//! same settings, and answers with the same headers and a body of the same fields and size, without
//! stock, journal or disk. What the engine loses against it is
//! what deciding and keeping costs; what both lose is the HTTP layer's and the machine's.
//! A product whose id begins with `sold-out` is refused, with the engine's problem.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A product of the bare server is sold out when its id begins with this.
pub const SOLD_OUT_PREFIX: &str = "sold-out";

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// As long as an id that the engine makes.
const A_REQUEST_ID: HeaderValue = HeaderValue::from_static("0123456789abcdef-00000000");
/// As the engine's.
const BACKLOG: u32 = 4096;
const KEEP_ALIVE: Duration = Duration::from_secs(75);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Purchase<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    buyer_id: Cow<'a, str>,
    quantity: u32,
    #[serde(borrow)]
    unit_price: Option<Price<'a>>,
    #[serde(borrow)]
    reference: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
struct Price<'a> {
    amount_minor: u64,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

#[derive(Serialize)]
struct Order<'a> {
    order_id: &'a str,
    status: &'static str,
    buyer_id: &'a str,
    reference: Option<&'a str>,
    lines: [Line<'a>; 1],
    placed_at: &'static str,
    position: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    line_no: u32,
    product_id: &'a str,
    quantity: u32,
    unit_price: Option<&'a Price<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    available: u64,
    requested: u32,
    retry: &'static str,
    request_id: &'static str,
}

#[derive(Serialize)]
struct Stock<'a> {
    product_id: &'a str,
    available: u64,
    stock: u64,
    held: u64,
    sold: u64,
    unsold: u64,
    version: u64,
}

/// Serves until the process is killed. Writes its URL into `announce` once it listens.
///
/// # Errors
/// The address cannot be bound, or the announcement not written.
pub fn serve(listen: SocketAddr, workers: usize, announce: Option<&Path>) -> anyhow::Result<()> {
    let orders = web::Data::new(AtomicU64::new(1));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(orders.clone())
            .route("/v1/purchases", web::post().to(purchase))
            .route("/v1/products/{id}/stock", web::get().to(stock))
            .route("/readyz", web::get().to(ready))
    });
    let server = server.workers(workers).backlog(BACKLOG).keep_alive(KEEP_ALIVE);
    let server = server.tcp_nodelay(true).bind(listen).context("cannot listen")?;
    let address = server.addrs().first().copied().context("no address")?;
    if let Some(path) = announce {
        announce_at(path, address).context("cannot announce")?;
    }
    actix_rt::System::new().block_on(server.run()).context("serving failed")
}

/// Renamed into place, so that nobody reads half a URL.
fn announce_at(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, format!("http://{address}\n"))?;
    std::fs::rename(draft, path)
}

async fn ready() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body("{}")
}

async fn purchase(
    request: HttpRequest,
    body: web::Bytes,
    orders: web::Data<AtomicU64>,
) -> HttpResponse {
    let key = request.headers().get(KEY);
    let typed = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let purchase = serde_json::from_slice::<Purchase<'_>>(&body);
    let (Some(_), true, Ok(purchase)) = (key, typed, purchase) else {
        return HttpResponse::BadRequest().finish();
    };
    if purchase.product_id.starts_with(SOLD_OUT_PREFIX) {
        return refused(&purchase);
    }
    let number = orders.fetch_add(1, Ordering::Relaxed);
    let (mut order_id, mut position) = ([0; 25], [0; 25]);
    // As long as an order's id and a position are; the room is exact.
    let _ = write!(order_id.as_mut_slice(), "o{number:024}");
    let _ = write!(position.as_mut_slice(), "p{number:024}");
    let order = Order {
        order_id: std::str::from_utf8(&order_id).unwrap_or_default(),
        status: "placed",
        buyer_id: &purchase.buyer_id,
        reference: purchase.reference.as_deref(),
        lines: [Line {
            line_no: 1,
            product_id: &purchase.product_id,
            quantity: purchase.quantity,
            unit_price: purchase.unit_price.as_ref(),
        }],
        placed_at: "2026-01-01T00:00:00.000Z",
        position: std::str::from_utf8(&position).unwrap_or_default(),
    };
    json(HttpResponse::Created(), "application/json", &order)
}

fn refused(purchase: &Purchase<'_>) -> HttpResponse {
    let problem = Problem {
        r#type: "urn:doorbuster:problem:sold-out",
        title: "sold out",
        status: 409,
        detail: "0 units available, 1 asked for",
        available: 0,
        requested: purchase.quantity,
        retry: "never",
        request_id: "0123456789abcdef-00000000",
    };
    json(HttpResponse::Conflict(), "application/problem+json", &problem)
}

async fn stock(product_id: web::Path<String>) -> HttpResponse {
    let stock = Stock {
        product_id: &product_id,
        available: 1_000_000_000,
        stock: 1_000_000_000,
        held: 0,
        sold: 0,
        unsold: 1_000_000_000,
        version: 1,
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((ETAG, HeaderValue::from_static("\"s1\"")));
    json(answer, "application/json", &stock)
}

fn json<T: Serialize>(
    mut answer: actix_web::HttpResponseBuilder,
    media_type: &'static str,
    body: &T,
) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            answer.insert_header((CONTENT_TYPE, HeaderValue::from_static(media_type)));
            answer.insert_header((REQUEST_ID, A_REQUEST_ID)).body(bytes)
        }
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
