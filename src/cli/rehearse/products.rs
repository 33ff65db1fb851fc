//! The products a rehearsal needs, put in for sale.
//!
//! A product that is on the server already is sold as it stands there, and what it has available
//! is its opening stock. With restocking, its unsold units are first set to the opening stock.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::cli::exit::{Exit, failure};
use crate::cli::play::ask::{Trouble, ask};
use crate::cli::play::caller::{Caller, Reply, Target};
use crate::cli::play::pool::spread;

/// Most connections that put products in; their order does not matter.
const CONNECTIONS: usize = 16;
/// Attempts to set stock that others change meanwhile.
const RESTOCKS_MAX: usize = 5;

/// What a product starts the rehearsal with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Opening {
    /// Units it can sell.
    pub(super) units: u64,
    /// It was on the server already.
    pub(super) reused: bool,
}

/// Puts every product of the plan in; `done` hears of each.
///
/// # Errors
/// The server refuses, or does not answer.
pub(super) async fn put_in(
    target: &Target,
    plan: &Plan,
    restock: bool,
    done: &dyn Fn(),
) -> anyhow::Result<Vec<Opening>> {
    let openings = RefCell::new(vec![Opening::default(); plan.products.len()]);
    let failed: RefCell<Option<anyhow::Error>> = RefCell::new(None);
    let (openings_ref, failed_ref) = (&openings, &failed);
    spread(target, CONNECTIONS, plan.products.len(), |caller, number| async move {
        if failed_ref.borrow().is_some() {
            return;
        }
        match put_one_in(caller, plan, number, restock).await {
            Ok(opening) => {
                if let Some(place) = openings_ref.borrow_mut().get_mut(number) {
                    *place = opening;
                }
                done();
            }
            Err(error) => *failed_ref.borrow_mut() = Some(error),
        }
    })
    .await;
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(openings.into_inner()),
    }
}

async fn put_one_in(
    caller: Rc<Caller>,
    plan: &Plan,
    number: usize,
    restock: bool,
) -> anyhow::Result<Opening> {
    let product = plan.products.get(number).context("a product of the plan")?;
    let id = &product.product_id;
    let body = json!({"product_id": id, "name": product.name, "stock": product.stock});
    let key = format!("{}-product-{id}", plan.run_id);
    let reply = ask(&caller, "/v1/products", &key, &body, &Trouble::default()).await;
    let reply = reply.with_context(|| format!("cannot put {id} in"))?.reply;
    match (reply.status, reply.problem()) {
        // Also when this very run put it in before it was interrupted: its sales are told again.
        (201, _) => Ok(Opening { units: product.stock, reused: false }),
        (409, "already-exists") => {
            if restock {
                set_stock(&caller, plan, id, product.stock).await?;
            }
            let units = figure(&stock_of(&caller, id).await?, "available")?;
            Ok(Opening { units: u64::try_from(units).unwrap_or(0), reused: true })
        }
        (401 | 403, _) => {
            let words = reply.words();
            let what = format!(
                "{words}: give a key with the scopes read, sell and manage by --api-key-file or \
                 DOORBUSTER_API_KEY"
            );
            Err(failure(Exit::Environment, what))
        }
        _ => bail!("cannot put {id} in: {}", reply.words()),
    }
}

/// Sets the unsold units of a product, as long as others change them meanwhile.
async fn set_stock(caller: &Caller, plan: &Plan, id: &str, units: u64) -> anyhow::Result<()> {
    for _ in 0..RESTOCKS_MAX {
        let unsold = figure(&stock_of(caller, id).await?, "unsold")?;
        if i128::from(unsold) == i128::from(units) {
            return Ok(());
        }
        let body = json!({"set_unsold": units, "expected_unsold": unsold,
            "reason": "correction", "reference": plan.run_id});
        let (path, key) = (
            format!("/v1/products/{id}/adjustments"),
            format!("{}-restock-{unsold}-{id}", plan.run_id),
        );
        let reply = ask(caller, &path, &key, &body, &Trouble::default()).await?.reply;
        match (reply.status, reply.problem()) {
            (201, _) => return Ok(()),
            (409, "stock-changed") => {}
            _ => bail!("cannot set the stock of {id}: {}", reply.words()),
        }
    }
    bail!("cannot set the stock of {id}: somebody else changes it all the time")
}

async fn stock_of(caller: &Caller, id: &str) -> anyhow::Result<Value> {
    let reply: Reply = caller.get(&format!("/v1/products/{id}/stock")).await?;
    if reply.status != 200 {
        bail!("cannot read the stock of {id}: {}", reply.words());
    }
    Ok(reply.body)
}

fn figure(body: &Value, name: &str) -> anyhow::Result<i64> {
    body.get(name).and_then(Value::as_i64).with_context(|| format!("no {name} in {body}"))
}
