//! The witness's words as the engine's, and the engine's answers as the witness's.

use doorbuster::domain::*;
use doorbuster::engine::{Action, Answer, Engine, HoldState, View};
use doorbuster::journal::{KeyStamp, Record, encode_record};

use crate::witness::{
    Heard, RefusedLine as Refused, Said, SeenHold, SeenProduct, TermsWish, Wish, WishLine,
    buyer_name, product_name,
};

fn checked<T, E: std::fmt::Debug>(value: Result<T, E>) -> T {
    value.expect("the simulation's own words are words of the engine")
}

fn money(amount: u64) -> Money {
    checked(Money::new(amount, checked(Currency::new("EUR"))))
}

fn sale() -> SaleId {
    checked(SaleId::new("sale"))
}

fn buyer(number: u16) -> BuyerId {
    checked(BuyerId::new(&buyer_name(number)))
}

/// The stamp of a request's key.
pub(super) fn stamp(number: u64, other_body: bool) -> KeyStamp {
    let mut hash = [0; 16];
    let (mixed, plain) = hash.split_at_mut(8);
    mixed.copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    plain.copy_from_slice(&number.to_be_bytes());
    KeyStamp { hash, fingerprint: [if other_body { 2 } else { 1 }; 8] }
}

/// The wish as a command, as a worker makes it of a request; `None`: it names what nobody can see.
pub(super) fn action(wish: &Wish, engine: &Engine) -> Option<Action> {
    let handle = |product: u16| engine.product(&product_name(product)).map(|entry| entry.handle());
    Some(match wish {
        Wish::Create { product, stock, terms } => {
            let terms = Terms::open(checked(Name::new("a"))).patched(&patch(terms));
            let product_id = checked(ProductId::new(&product_name(*product)));
            Action::Create(Box::new(CreateProduct { product_id, terms, stock: *stock }))
        }
        Wish::Terms { product, version, terms } => {
            let targets = Targets::Product { handle: handle(*product)?, terms_version: *version };
            Action::ChangeTerms(Box::new(ChangeTerms { targets, patch: patch(terms) }))
        }
        Wish::Sale(terms) => {
            let targets = Targets::Sale(sale());
            let patch = TermsPatch { sale_id: Patch::Keep, ..patch(terms) };
            Action::ChangeTerms(Box::new(ChangeTerms { targets, patch }))
        }
        Wish::PauseAll(paused) => Action::PauseSelling(*paused),
        Wish::Adjust { product, delta } => Action::Adjust(AdjustStock {
            product: handle(*product)?,
            change: StockChange::Delta(*delta),
            reason: AdjustReason::Correction,
        }),
        Wish::SetUnsold { product, unsold, expected } => Action::Adjust(AdjustStock {
            product: handle(*product)?,
            change: StockChange::SetUnsold { unsold: *unsold, expected: *expected },
            reason: AdjustReason::Received,
        }),
        Wish::Order { buyer: number, lines } => Action::Order(PlaceOrder {
            buyer_id: buyer(*number),
            lines: line_wishes(lines, handle)?,
        }),
        Wish::Hold { buyer: number, lines, ttl_ms } => Action::PlaceHold(Box::new(PlaceHold {
            buyer_id: buyer(*number),
            lines: line_wishes(lines, handle)?,
            ttl_ms: *ttl_ms,
        })),
        Wish::Extend { hold, ttl_ms } => {
            Action::ExtendHold(ExtendHold { hold: Sequence::new(*hold), ttl_ms: *ttl_ms })
        }
        Wish::Confirm { hold, parts } => {
            let confirm = ConfirmHold { hold: Sequence::new(*hold), parts: named(parts) };
            Action::ConfirmHold { confirm, lines: lines_shown(engine, *hold) }
        }
        Wish::Release { hold } => {
            let release = ReleaseHold { hold: Sequence::new(*hold) };
            Action::ReleaseHold { release, lines: lines_shown(engine, *hold) }
        }
        Wish::Cancel { order, parts, restock } => cancel(*order, parts, *restock, engine)?,
    })
}

fn cancel(
    order: u64,
    parts: &Option<Vec<(u16, u64)>>,
    restock: bool,
    engine: &Engine,
) -> Option<Action> {
    let stored = placed_order(order, engine)?;
    let placed = stored.1.order()?.clone();
    let (sequence, changes) = (stored.0, stored.1.envelope.changes.clone());
    let order = PlacedOrder { sequence, buyer_id: placed.buyer_id, lines: placed.lines, changes };
    let reason = checked(Text::new("no more wanted"));
    Some(Action::Cancel(Box::new(CancelOrder { order, parts: named(parts), reason, restock })))
}

/// The order of a record, as a worker reads it.
pub(super) fn placed_order(order: u64, engine: &Engine) -> Option<(Sequence, Record)> {
    let id = doorbuster::journal::OrderId(engine.position(Sequence::new(order)));
    let stored = engine.order(id).expect("a durable record can be read")?;
    Some((stored.sequence, stored.record))
}

/// As a worker that has looked at the board.
fn lines_shown(engine: &Engine, hold: u64) -> u16 {
    let board = engine.board().expect("it has started");
    let entry = board.hold(Sequence::new(hold), engine.now_ms());
    entry.map_or(1, |entry| entry.lines.max(1))
}

fn line_wishes(lines: &[WishLine], handle: impl Fn(u16) -> Option<Handle>) -> Option<LineWishes> {
    let line = |line: &WishLine| {
        let quantity = checked(Quantity::new(line.quantity));
        let unit_price = line.price.map(money);
        Some(LineWish { product: handle(line.product)?, quantity, unit_price })
    };
    lines.iter().map(line).collect()
}

fn named(parts: &Option<Vec<(u16, u64)>>) -> Option<Vec<Part>> {
    let part = |(line, units): &(u16, u64)| Part {
        of: PartOf::Line(usize::from(*line)),
        quantity: checked(Quantity::new(*units)),
    };
    Some(parts.as_ref()?.iter().map(part).collect())
}

fn set<T, U>(wish: Option<T>, then: impl FnOnce(T) -> U) -> Patch<U> {
    wish.map_or(Patch::Keep, |value| Patch::Set(then(value)))
}

fn patch(terms: &TermsWish) -> TermsPatch {
    TermsPatch {
        price: set(terms.price, |price| price.map(money)),
        opens_at_ms: set(terms.opens_at_ms, |at_ms| at_ms),
        closes_at_ms: set(terms.closes_at_ms, |at_ms| at_ms),
        oversell_limit: set(terms.oversell_limit, |units| units),
        safety_stock: set(terms.safety_stock, |units| units),
        per_buyer_limit: set(terms.per_buyer_limit, |units| units),
        paused: set(terms.paused, |paused| paused),
        returns_free_limit: set(terms.returns_free_limit, |frees| frees),
        sale_id: set(terms.in_sale, |within| within.then(sale)),
        ..TermsPatch::default()
    }
}

/// Checksum of a record's payload, as the answer would be rendered from it.
pub(super) fn checksum(record: &Record) -> u32 {
    let mut payload = Vec::new();
    encode_record(record, &mut payload);
    crc32c::crc32c(&payload)
}

/// An answer in the witness's words.
pub(super) fn heard(answer: &Answer) -> Heard {
    match answer {
        Answer::Decided { sequence, record, replayed } => Heard::Done {
            sequence: sequence.get(),
            replayed: *replayed,
            checksum: checksum(record),
        },
        Answer::Refused(refusal) => Heard::Refused(said(refusal)),
        Answer::KeyReused => Heard::KeyReused,
        Answer::KeyInFlight => Heard::KeyInFlight,
        Answer::Overloaded { .. }
        | Answer::DiskLow { .. }
        | Answer::Starting
        | Answer::NotDecided => Heard::TurnedAway,
        Answer::OutcomeUnknown => Heard::Unknown,
        Answer::Unreadable(error) => panic!("a durable record cannot be read: {error}"),
    }
}

fn said(refusal: &Refusal) -> Said {
    match refusal {
        Refusal::SoldOut { available, requested } => {
            Said::SoldOut { available: *available, requested: *requested }
        }
        Refusal::LimitReached { limit, bought, requested } => {
            Said::LimitReached { limit: *limit, bought: *bought, requested: *requested }
        }
        Refusal::NotOpen { opens_at_ms } => Said::NotOpen { opens_at_ms: *opens_at_ms },
        Refusal::Closed { closes_at_ms } => Said::Closed { closes_at_ms: *closes_at_ms },
        Refusal::Paused => Said::Paused,
        Refusal::AlreadyExists => Said::AlreadyExists,
        Refusal::StockChanged { unsold, .. } => Said::StockChanged { unsold: *unsold },
        Refusal::WouldOversell { shortfall } => Said::WouldOversell { shortfall: *shortfall },
        Refusal::PreconditionFailed { terms_version } => {
            Said::PreconditionFailed { terms_version: *terms_version }
        }
        Refusal::UnknownHold => Said::UnknownHold,
        Refusal::HoldEnded { end } => Said::HoldEnded(end.as_str()),
        Refusal::AlreadyCancelled { .. } => Said::AlreadyCancelled,
        Refusal::Lines(lines) => Said::Lines(
            lines
                .iter()
                .filter_map(|line| {
                    Some(Refused { line: *line.lines.first()?, said: said(&line.refusal) })
                })
                .collect(),
        ),
        _ => Said::Other,
    }
}

/// A view in the witness's words.
pub(super) fn seen_product(view: &View) -> SeenProduct {
    SeenProduct {
        version: view.version.get(),
        stock: view.figures.stock,
        held: view.figures.held,
        sold: view.figures.sold,
        available: view.available(),
        terms_version: view.terms_version,
    }
}

/// A hold of the board in the witness's words.
pub(super) fn seen_hold(state: HoldState) -> SeenHold {
    match state {
        HoldState::Held { expires_at_ms } => SeenHold::Live { expires_at_ms },
        HoldState::Ended(ended) => SeenHold::Ended(ended.end.as_str()),
    }
}
