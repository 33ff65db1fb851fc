//! Terms in JSON: reading them at creation and as a merge-patch, writing them.

use super::fields::{Errors, Members, boolean, moment, money, string, whole_u32};
use super::render::Fields;
use crate::domain::{Name, Patch, SaleId, Terms, TermsPatch};

/// The fields of terms, besides `name`.
pub(super) const TERMS: [&str; 10] = [
    "price",
    "sale_id",
    "opens_at",
    "closes_at",
    "oversell_limit",
    "safety_stock",
    "per_buyer_limit",
    "returns_free_limit",
    "low_stock_threshold",
    "paused",
];

/// The fields a sale has for all its products.
pub(super) const SALE_TERMS: [&str; 3] = ["opens_at", "closes_at", "paused"];

/// Reads the terms of a new product; mistakes go into `errors`.
pub(super) fn read(members: &Members<'_>, errors: &mut Errors) -> Option<Terms> {
    let name = members.required("name", errors, string(Name::new));
    let patch = read_patch(members, errors);
    let patch = TermsPatch { name: Patch::Keep, ..patch };
    name.map(|name| Terms::open(name).patched(&patch))
}

/// Reads what a merge-patch names; mistakes go into `errors`. `name` is read by whoever allows it.
pub(super) fn read_patch(members: &Members<'_>, errors: &mut Errors) -> TermsPatch {
    TermsPatch {
        name: Patch::Keep,
        price: members.patch_or_none("price", errors, money),
        sale_id: members.patch_or_none("sale_id", errors, string(SaleId::new)),
        opens_at_ms: members.patch_or_none("opens_at", errors, moment),
        closes_at_ms: members.patch_or_none("closes_at", errors, moment),
        oversell_limit: members.patch_or("oversell_limit", 0, errors, whole_u32(0, u32::MAX)),
        safety_stock: members.patch_or("safety_stock", 0, errors, whole_u32(0, u32::MAX)),
        per_buyer_limit: members.patch_or_none("per_buyer_limit", errors, whole_u32(1, u32::MAX)),
        low_stock_threshold: members.patch_or_none(
            "low_stock_threshold",
            errors,
            whole_u32(0, u32::MAX),
        ),
        paused: members.patch_or("paused", false, errors, boolean),
        returns_free_limit: members.patch_or("returns_free_limit", true, errors, boolean),
    }
}

/// Reads `name` in a merge-patch: a product always has one.
pub(super) fn read_name(members: &Members<'_>, errors: &mut Errors) -> Patch<Name> {
    match members.patch_or_none("name", errors, string(Name::new)) {
        Patch::Keep => Patch::Keep,
        Patch::Set(Some(name)) => Patch::Set(name),
        Patch::Set(None) => {
            errors.add(members.pointer("name"), "a product has a name");
            Patch::Keep
        }
    }
}

/// Writes terms whole.
pub(super) fn write(terms: &Terms, fields: &mut Fields<'_>) {
    fields.text("name", terms.name.as_str());
    fields.or_null("price", terms.price, Fields::money);
    fields.or_null("sale_id", terms.sale_id.as_ref(), sale_id);
    fields.or_null("opens_at", terms.opens_at(), Fields::time);
    fields.or_null("closes_at", terms.closes_at(), Fields::time);
    fields.number("oversell_limit", terms.oversell_limit.into());
    fields.number("safety_stock", terms.safety_stock.into());
    fields.or_null("per_buyer_limit", terms.buyer_limit().map(u64::from), Fields::number);
    fields.boolean("returns_free_limit", terms.returns_free_limit);
    let threshold = terms.low_stock_threshold.map(u64::from);
    fields.or_null("low_stock_threshold", threshold, Fields::number);
    fields.boolean("paused", terms.paused);
}

/// Writes what a patch set.
pub(super) fn write_patch(patch: &TermsPatch, fields: &mut Fields<'_>) {
    let TermsPatch {
        name,
        price,
        sale_id: sale,
        opens_at_ms,
        closes_at_ms,
        oversell_limit,
        safety_stock,
        per_buyer_limit,
        low_stock_threshold,
        paused,
        returns_free_limit,
    } = patch;
    if let Patch::Set(name) = name {
        fields.text("name", name.as_str());
    }
    if let Patch::Set(price) = price {
        fields.or_null("price", *price, Fields::money);
    }
    if let Patch::Set(sale) = sale {
        fields.or_null("sale_id", sale.as_ref(), sale_id);
    }
    for (name, at) in [("opens_at", opens_at_ms), ("closes_at", closes_at_ms)] {
        if let Patch::Set(at) = at {
            fields.or_null(name, *at, Fields::time);
        }
    }
    for (name, units) in [("oversell_limit", oversell_limit), ("safety_stock", safety_stock)] {
        if let Patch::Set(units) = units {
            fields.number(name, u64::from(*units));
        }
    }
    for (name, units) in
        [("per_buyer_limit", per_buyer_limit), ("low_stock_threshold", low_stock_threshold)]
    {
        if let Patch::Set(units) = units {
            fields.or_null(name, units.map(u64::from), Fields::number);
        }
    }
    for (name, is) in [("returns_free_limit", returns_free_limit), ("paused", paused)] {
        if let Patch::Set(is) = is {
            fields.boolean(name, *is);
        }
    }
}

fn sale_id(fields: &mut Fields<'_>, name: &'static str, sale_id: &SaleId) {
    fields.plain(name, sale_id.as_str());
}
