//! `GET /v1/products`: the list in order of creation, rendered once for as long as it stays true.
//!
//! A shop's front page asks for the same rows over and over. So each worker keeps the page it rendered
//! last, with all that it depends on: what was asked for, the edition of the views, whether everything
//! is paused, and until when no row opens or closes. A page is what rendering it now would give: the
//! edition is read before the views are, and it moves on before anyone hears of a change.

use std::cell::RefCell;

use actix_web::web::Bytes;

use super::auth::Scope;
use super::cursor::List;
use super::fields::Errors;
use super::problem::Problem;
use super::query;
use super::render::{Fields, Json};
use super::reply::Reply;
use super::worker::Call;
use crate::domain::Handle;
use crate::engine::{Board, Engine, ProductEntry, View};

const ROWS_DEFAULT: u16 = 50;
const ROWS_MAX: u16 = 500;

/// The page a worker rendered last.
#[derive(Default)]
pub(super) struct LastPage(RefCell<Option<Page>>);

/// A rendered page, and how long it stays true.
struct Page {
    of: PageKey,
    /// From this moment on a row may have another state.
    until_ms: u64,
    body: Bytes,
}

/// What a page depends on, but for the time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct PageKey {
    first: Handle,
    limit: usize,
    edition: u64,
    all_paused: bool,
}

/// `GET /v1/products`.
///
/// # Errors
/// A parameter that is unknown or wrong.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, Problem> {
    call.admit_started(Scope::Read)?;
    let (first, limit) = read_page(call.query())?;
    let engine = call.worker.engine();
    let all_paused = engine.board().is_some_and(Board::selling_paused);
    let key = PageKey { first, limit, edition: engine.edition(), all_paused };
    let now_ms = engine.now_ms();
    Ok(Reply::ok(call.worker.last_page.get(key, now_ms, || render(engine, key, now_ms))))
}

impl LastPage {
    /// The kept page if it still is what `render` would give, or that.
    fn get(&self, key: PageKey, now_ms: u64, render: impl FnOnce() -> Page) -> Bytes {
        let mut last = self.0.borrow_mut();
        let still = last.take().filter(|page| page.of == key && now_ms < page.until_ms);
        last.insert(still.unwrap_or_else(render)).body.clone()
    }
}

fn render(engine: &Engine, key: PageKey, now_ms: u64) -> Page {
    let PageKey { first, limit, all_paused, .. } = key;
    // One more than asked for tells whether there is more.
    let entries = engine.products_from(first, limit + 1);
    let next = entries.get(limit).map(|entry| List::Products.at(entry.handle().get().into()));
    let rows = entries.iter().take(limit);
    let mut until_ms = u64::MAX;
    let body = Json::whole(64 + 176 * limit.min(entries.len()), |fields| {
        fields.array("products", rows, |entry, item| {
            item.object(|fields| {
                let view = entry.view();
                let moments = [view.terms.opens_at_ms, view.terms.closes_at_ms];
                let ahead = moments.into_iter().filter(|at_ms| *at_ms > now_ms);
                until_ms = ahead.fold(until_ms, u64::min);
                let state = if all_paused { "paused" } else { state_of(&view, now_ms) };
                write_row(entry, &view, state, fields);
            });
        });
        fields.or_null("next_cursor", next, |fields, name, next| fields.display(name, next));
    });
    Page { of: key, until_ms, body: body.into() }
}

fn read_page(text: &str) -> Result<(Handle, usize), Problem> {
    let mut errors = Errors::default();
    let [cursor, limit] = query::read(text, ["cursor", "limit"], &mut errors);
    let first = match cursor.map(|word| List::Products.read(word).map(u32::try_from)) {
        None => Some(Handle::new(0)),
        Some(Some(Ok(next))) => Some(Handle::new(next)),
        Some(_) => errors.none("?cursor", query::NO_CURSOR),
    };
    let limit = query::limit(limit, ROWS_DEFAULT, ROWS_MAX, &mut errors);
    errors.unless_any(first.zip(limit.map(usize::from)))
}

fn write_row(entry: &ProductEntry, view: &View, state: &'static str, fields: &mut Fields<'_>) {
    fields.plain("product_id", entry.id().as_str());
    fields.text("name", view.terms.name.as_str());
    fields.or_null("price", view.terms.price, Fields::money);
    fields.number("available", view.available());
    fields.plain("state", state);
}

/// What a buyer would hear now; the order is that of the domain's checks.
fn state_of(view: &View, now_ms: u64) -> &'static str {
    if view.terms.paused {
        "paused"
    } else if now_ms < view.terms.opens_at_ms {
        "not_open"
    } else if now_ms >= view.terms.closes_at_ms {
        "closed"
    } else if view.available() == 0 {
        "sold_out"
    } else {
        "open"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: PageKey =
        PageKey { first: Handle::new(0), limit: 20, edition: 7, all_paused: false };

    /// What is answered, after a page that is true until 100, for `key` at `now_ms`.
    fn answer(key: PageKey, now_ms: u64) -> Bytes {
        let pages = LastPage::default();
        let page = |of, body: &'static str| Page { of, until_ms: 100, body: body.into() };
        pages.get(KEY, 0, || page(KEY, "kept"));
        pages.get(key, now_ms, || page(key, "anew"))
    }

    #[test]
    fn page_is_kept_until_what_it_depends_on_changes() {
        assert_eq!(answer(KEY, 99), "kept");
        assert_eq!(answer(KEY, 100), "anew", "a row opens or closes");
        assert_eq!(answer(PageKey { first: Handle::new(1), ..KEY }, 0), "anew");
        assert_eq!(answer(PageKey { limit: 21, ..KEY }, 0), "anew");
        assert_eq!(answer(PageKey { edition: 8, ..KEY }, 0), "anew");
        assert_eq!(answer(PageKey { all_paused: true, ..KEY }, 0), "anew");
    }
}
