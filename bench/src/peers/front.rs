//! The front that every peer has: the engine's requests and answers, whatever decides behind them.
//!
//! It parses the same purchase, borrowed from its bytes, asks for the same headers, listens with the
//! same settings, and answers with the same headers and a body of the same fields and size. What
//! decides is a [`Decide`], made once for each worker thread, so that none shares more than its store.
//! What a peer loses against [`super::bare`] is what its store costs; what all lose is the HTTP
//! layer's and the machine's.

use std::borrow::Cow;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use serde::{Deserialize, Serialize};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// As long as an id that the engine makes.
const A_REQUEST_ID: HeaderValue = HeaderValue::from_static("0123456789abcdef-00000000");
/// As the engine's.
const BACKLOG: u32 = 4096;
const CONNECTIONS_PER_WORKER: usize = 25_000;
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Rows of a list of products.
const ROWS: usize = 20;

/// Where and how a peer serves.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Worker threads.
    pub workers: usize,
    /// Hears the bound URL.
    pub announce: Option<PathBuf>,
}

/// What is asked of a store: so many units of a product for a buyer, once for each key.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The idempotency key.
    pub key: &'a str,
    /// Of which product.
    pub product_id: &'a str,
    /// For whom.
    pub buyer_id: &'a str,
    /// Units.
    pub quantity: u32,
}

/// What a store decided. What is sold is as durable as the store promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Sold as the order of this number.
    Sold(u64),
    /// The key had been sold before, as the order of this number.
    Replayed(u64),
    /// Refused: so many units are left.
    SoldOut(u64),
}

/// A product's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// Left to sell.
    pub available: u64,
    /// Sold.
    pub sold: u64,
}

/// What decides behind the front; one on each worker thread.
pub trait Decide: 'static {
    /// Sells, or says why not.
    fn decide(&self, ask: Ask<'_>) -> impl Future<Output = anyhow::Result<Decision>>;

    /// Puts a product in for sale.
    fn put_in(&self, product_id: &str, stock: u64) -> impl Future<Output = anyhow::Result<()>>;

    /// A product's units; `None`: there is no such product.
    fn units(&self, product_id: &str) -> impl Future<Output = anyhow::Result<Option<Units>>>;
}

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

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    stock: u64,
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

/// Serves until the process is killed. Writes its URL once it listens; `connect` makes what decides,
/// on each worker thread.
///
/// # Errors
/// The address cannot be bound, the announcement not written, or the store not reached.
pub fn serve<D, C, F>(serving: &Serving, connect: C) -> anyhow::Result<()>
where
    D: Decide,
    C: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<D>> + 'static,
{
    let server = HttpServer::new(move || {
        let connect = connect.clone();
        // The service's own futures are not `Send`, nor is what decides.
        let made = move || {
            let made = connect();
            async move { made.await.map(Rc::new).inspect_err(|error| eprintln!("error: {error:#}")) }
        };
        App::new()
            .data_factory(made)
            .route("/v1/purchases", web::post().to(purchase::<D>))
            .route("/v1/products", web::post().to(put_in::<D>))
            .route("/v1/products", web::get().to(list))
            .route("/v1/products/{id}/stock", web::get().to(stock::<D>))
            .route("/readyz", web::get().to(ready))
    });
    let server = server.workers(serving.workers).backlog(BACKLOG).keep_alive(KEEP_ALIVE);
    let server = server.max_connections(CONNECTIONS_PER_WORKER).tcp_nodelay(true);
    let server = server.bind(serving.listen).context("cannot listen")?;
    let address = server.addrs().first().copied().context("no address")?;
    if let Some(path) = &serving.announce {
        announce_at(path, address).context("cannot announce")?;
    }
    actix_rt::System::new().block_on(server.run()).context("serving failed")
}

/// Renamed into place, so that nobody reads half a URL.
pub(crate) fn announce_at(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, format!("http://{address}\n"))?;
    std::fs::rename(draft, path)
}

async fn ready() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body("{}")
}

async fn purchase<D: Decide>(
    request: HttpRequest,
    body: web::Bytes,
    store: web::Data<Rc<D>>,
) -> HttpResponse {
    let key = request.headers().get(KEY).and_then(|key| key.to_str().ok());
    let purchase = serde_json::from_slice::<Purchase<'_>>(&body);
    let (Some(key), true, Ok(purchase)) = (key, is_json(&request), purchase) else {
        return HttpResponse::BadRequest().finish();
    };
    let Purchase { product_id, buyer_id, quantity, .. } = &purchase;
    let decision = store.decide(Ask { key, product_id, buyer_id, quantity: *quantity }).await;
    match decision {
        Ok(Decision::Sold(number)) => sold(&purchase, number, false),
        Ok(Decision::Replayed(number)) => sold(&purchase, number, true),
        Ok(Decision::SoldOut(available)) => refused(&purchase, available),
        Err(error) => failed(&error),
    }
}

fn is_json(request: &HttpRequest) -> bool {
    request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
}

fn failed(error: &anyhow::Error) -> HttpResponse {
    eprintln!("error: {error:#}");
    HttpResponse::ServiceUnavailable().finish()
}

fn sold(purchase: &Purchase<'_>, number: u64, replayed: bool) -> HttpResponse {
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
    let mut answer = HttpResponse::Created();
    if replayed {
        answer.insert_header((REPLAYED, HeaderValue::from_static("true")));
    }
    json(answer, "application/json", &order)
}

fn refused(purchase: &Purchase<'_>, available: u64) -> HttpResponse {
    let problem = Problem {
        r#type: "urn:doorbuster:problem:sold-out",
        title: "sold out",
        status: 409,
        detail: "0 units available, 1 asked for",
        available,
        requested: purchase.quantity,
        retry: "never",
        request_id: "0123456789abcdef-00000000",
    };
    json(HttpResponse::Conflict(), "application/problem+json", &problem)
}

async fn put_in<D: Decide>(body: web::Bytes, store: web::Data<Rc<D>>) -> HttpResponse {
    let Ok(product) = serde_json::from_slice::<Product<'_>>(&body) else {
        return HttpResponse::BadRequest().finish();
    };
    match store.put_in(&product.product_id, product.stock).await {
        Ok(()) => HttpResponse::Created().body("{}"),
        Err(error) => failed(&error),
    }
}

async fn stock<D: Decide>(product_id: web::Path<String>, store: web::Data<Rc<D>>) -> HttpResponse {
    let units = match store.units(&product_id).await {
        Ok(Some(units)) => units,
        Ok(None) => return HttpResponse::NotFound().finish(),
        Err(error) => return failed(&error),
    };
    let stock = Stock {
        product_id: &product_id,
        available: units.available,
        stock: units.available + units.sold,
        held: 0,
        sold: units.sold,
        unsold: units.available,
        version: 1 + units.sold,
    };
    let mut answer = HttpResponse::Ok();
    answer.insert_header((ETAG, HeaderValue::from_static("\"s1\"")));
    json(answer, "application/json", &stock)
}

/// Static bytes, as many as the engine sends of so many products.
async fn list() -> HttpResponse {
    static BODY: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(a_list);
    answered(HttpResponse::Ok(), "application/json", BODY.as_slice())
}

fn a_list() -> Vec<u8> {
    let row = |number| {
        let id = crate::load::work::product_id(number);
        format!(
            r#"{{"product_id":"{id}","name":"{id}","price":null,"available":1000000000,"state":"open"}}"#
        )
    };
    let rows: Vec<String> = (0..ROWS as u64).map(row).collect();
    format!(r#"{{"products":[{}],"next_cursor":"0123456789abcdef"}}"#, rows.join(",")).into_bytes()
}

fn json<T: Serialize>(
    answer: actix_web::HttpResponseBuilder,
    media_type: &'static str,
    body: &T,
) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(bytes) => answered(answer, media_type, bytes),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn answered<B: actix_web::body::MessageBody + 'static>(
    mut answer: actix_web::HttpResponseBuilder,
    media_type: &'static str,
    body: B,
) -> HttpResponse {
    answer.insert_header((CONTENT_TYPE, HeaderValue::from_static(media_type)));
    answer.insert_header((REQUEST_ID, A_REQUEST_ID)).body(body)
}
