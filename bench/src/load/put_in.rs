//! Putting many products in before a load, and asking afterwards what they sold.
//!
//! Connections of its own, in the caller's runtime; the first answer that is not the expected one ends it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::work::Products;
use crate::connection::Connection;
use crate::request;

const CONNECTIONS: usize = 32;

/// Puts the products in, each with this stock; a product's name is its id.
///
/// # Errors
/// One was not created.
pub async fn put_in(address: SocketAddr, products: &Products, stock: u64) -> anyhow::Result<()> {
    let create = |id: &str| {
        let body = json!({"product_id": id, "name": id, "stock": stock}).to_string();
        request::post("/v1/products", &format!("create-{id}"), &body)
    };
    each(address, products.ids(), create, 201, |_| Ok(())).await
}

/// Units that these products have sold, by their own account.
///
/// # Errors
/// One cannot be read.
pub async fn units_sold(
    address: SocketAddr,
    ids: Box<dyn Iterator<Item = String> + Send>,
) -> anyhow::Result<u64> {
    let sum = Cell::new(0);
    let read = |id: &str| request::get(&format!("/v1/products/{id}/stock"));
    let add = |body: &[u8]| {
        let stock: Value = serde_json::from_slice(body)?;
        let sold = stock.get("sold").and_then(Value::as_u64).context("stock without `sold`")?;
        sum.set(sum.get() + sold);
        Ok(())
    };
    each(address, ids, read, 200, add).await?;
    Ok(sum.get())
}

/// Sends a request for each id over some connections.
async fn each(
    address: SocketAddr,
    ids: impl Iterator<Item = String>,
    request: impl Fn(&str) -> Vec<u8>,
    expected: u16,
    heard: impl Fn(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ids = RefCell::new(ids);
    let turns = || async {
        let mut connection = Connection::open(address).await?;
        loop {
            let Some(id) = ids.borrow_mut().next() else { return anyhow::Ok(()) };
            let answer = connection.exchange(&request(&id)).await?;
            if answer.head.status != expected {
                let body = String::from_utf8_lossy(answer.body);
                bail!("{id}: {} instead of {expected}: {body}", answer.head.status);
            }
            heard(answer.body)?;
        }
    };
    try_join_all((0..CONNECTIONS).map(|_| turns())).await?;
    Ok(())
}
