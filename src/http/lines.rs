//! Lines of orders and holds: reading what somebody wants, and writing what was sold or held.

use super::fields::{Errors, Members, money, string, whole};
use super::json::Value;
use super::orders::product_id;
use super::problem::Problem;
use super::render::Fields;
use crate::domain::{
    LineWish, LineWishes, Money, ORDER_LINES_MAX, OrderLine, Part, PartOf, ProductId, Quantity,
};
use crate::engine::{Engine, ProductEntry};

/// Ids named in one answer.
const UNKNOWN_SHOWN: usize = 10;

/// A line as it was asked for.
pub(super) struct Wish {
    product_id: ProductId,
    quantity: Quantity,
    unit_price: Option<Money>,
}

/// Some units of an order or a hold, as they were named.
pub(super) struct NamedPart {
    of: Named,
    quantity: Quantity,
}

enum Named {
    Line(usize),
    Product(ProductId),
}

/// 1 to 1,000 lines `{product_id, quantity, unit_price?}`.
pub(super) fn wishes(value: &Value<'_>, pointer: &str, errors: &mut Errors) -> Option<Vec<Wish>> {
    list(value, pointer, errors, |value, pointer, errors| {
        let known = ["product_id", "quantity", "unit_price"];
        let members = Members::of(value, pointer, &known, errors)?;
        let product_id = members.required("product_id", errors, string(ProductId::new));
        let quantity = members.required("quantity", errors, quantity);
        let unit_price = members.optional("unit_price", errors, money);
        Some(Wish { product_id: product_id?, quantity: quantity?, unit_price })
    })
}

/// 1 to 1,000 parts `{line_no or product_id, quantity}`.
pub(super) fn parts(
    value: &Value<'_>,
    pointer: &str,
    errors: &mut Errors,
) -> Option<Vec<NamedPart>> {
    list(value, pointer, errors, |value, pointer, errors| {
        let members = Members::of(value, pointer, &["line_no", "product_id", "quantity"], errors)?;
        let of = match (members.has("line_no"), members.has("product_id")) {
            (true, false) => members
                .required("line_no", errors, whole(1, ORDER_LINES_MAX as u64))
                .and_then(|line_no| usize::try_from(line_no - 1).ok())
                .map(Named::Line),
            (false, true) => {
                members.required("product_id", errors, string(ProductId::new)).map(Named::Product)
            }
            (true, true) => errors.none(pointer, "either line_no or product_id, not both"),
            (false, false) => errors.none(pointer, "line_no or product_id is required"),
        };
        let quantity = members.required("quantity", errors, quantity);
        Some(NamedPart { of: of?, quantity: quantity? })
    })
}

fn quantity(value: &Value<'_>, pointer: &str, errors: &mut Errors) -> Option<Quantity> {
    let units = whole(1, Quantity::MAX.into())(value, pointer, errors)?;
    Quantity::new(units).ok()
}

fn list<T>(
    value: &Value<'_>,
    pointer: &str,
    errors: &mut Errors,
    take: impl Fn(&Value<'_>, &str, &mut Errors) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Array(items) = value else {
        return errors.none(pointer, format!("must be an array, is {}", value.kind()));
    };
    if items.is_empty() || items.len() > ORDER_LINES_MAX {
        let detail = format!("must have 1 to {ORDER_LINES_MAX} lines, has {}", items.len());
        return errors.none(pointer, detail);
    }
    let mut taken = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        if let Some(item) = take(item, &format!("{pointer}/{place}"), errors) {
            taken.push(item);
        }
    }
    (taken.len() == items.len()).then_some(taken)
}

/// The wishes by handle.
///
/// # Errors
/// Products that do not exist, by name.
pub(super) fn resolve(engine: &Engine, wishes: &[Wish]) -> Result<LineWishes, Problem> {
    let mut lines = LineWishes::with_capacity(wishes.len());
    let mut unknown: Vec<&str> = Vec::new();
    for Wish { product_id, quantity, unit_price } in wishes {
        match engine.product(product_id.as_str()) {
            Some(entry) => lines.push(LineWish {
                product: entry.handle(),
                quantity: *quantity,
                unit_price: *unit_price,
            }),
            None if unknown.contains(&product_id.as_str()) => {}
            None if unknown.len() < UNKNOWN_SHOWN => unknown.push(product_id.as_str()),
            None => break,
        }
    }
    if unknown.is_empty() { Ok(lines) } else { Err(Problem::unknown_products(&unknown)) }
}

/// The parts by handle.
///
/// # Errors
/// Not valid: a product that does not exist.
pub(super) fn resolve_parts(engine: &Engine, parts: &[NamedPart]) -> Result<Vec<Part>, Problem> {
    let mut errors = Errors::default();
    let mut resolved = Vec::with_capacity(parts.len());
    for (place, NamedPart { of, quantity }) in parts.iter().enumerate() {
        let of = match of {
            Named::Line(line) => Some(PartOf::Line(*line)),
            Named::Product(id) => match engine.product(id.as_str()) {
                Some(entry) => Some(PartOf::Product(entry.handle())),
                None => errors.none(&format!("/lines/{place}/product_id"), "has no such line"),
            },
        };
        if let Some(of) = of {
            resolved.push(Part { of, quantity: *quantity });
        }
    }
    errors.unless_any(Some(resolved))
}

/// Lines of a hold or of what it released.
pub(super) fn write(
    engine: &Engine,
    name: &'static str,
    lines: &[OrderLine],
    fields: &mut Fields<'_>,
) {
    fields.array(name, (0..).zip(lines), |(place, line), item| {
        item.object(|fields| write_one(engine, place, line, None, fields));
    });
}

/// The line at a place, from 0. `known` spares looking its product up.
pub(super) fn write_one(
    engine: &Engine,
    place: usize,
    line: &OrderLine,
    known: Option<&ProductEntry>,
    fields: &mut Fields<'_>,
) {
    fields.number("line_no", place as u64 + 1);
    match known.filter(|entry| entry.handle() == line.product) {
        Some(entry) => fields.plain("product_id", entry.id().as_str()),
        None => fields.plain("product_id", product_id(engine, line.product).as_str()),
    }
    fields.number("quantity", line.quantity.units());
    fields.or_null("unit_price", line.unit_price, Fields::money);
}
