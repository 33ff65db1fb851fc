//! Random commands against a naive model that shares nothing with the domain: it keeps a history
//! and adds it up, with a reopening from the journal in between.

mod naive;

use proptest::prelude::*;

use self::naive::Model;
use super::dump::dump;
use super::script::World;
use crate::domain::*;

const PRODUCTS: u32 = 3;
const BUYERS: u8 = 3;
const RULES: HoldRules = HoldRules { ttl_max_ms: 40, live_per_buyer_max: 3, live_lines_max: 8 };

/// One random step; the figures are small, so that edges are met often.
#[derive(Debug, Clone)]
enum Step {
    Create { stock: u64, oversell: u32, limit: u32, sale: Option<u8> },
    Buy { product: u32, buyer: u8, quantity: u64 },
    Order { buyer: u8, lines: Vec<(u32, u64)> },
    Hold { buyer: u8, lines: Vec<(u32, u64)>, ttl: u64 },
    Confirm { hold: usize, parts: Option<Vec<(Of, u64)>> },
    Extend { hold: usize, ttl: u64 },
    Release { hold: usize },
    Cancel { order: usize, parts: Option<Vec<(Of, u64)>>, restock: bool },
    SellingPaused { paused: bool },
    ReturnsFree { product: u32, free: bool },
    Delta { product: u32, delta: i64 },
    SetUnsold { product: u32, unsold: u64, expected: Option<i64> },
    Limit { product: u32, limit: Option<u32> },
    Safety { product: u32, safety: u32 },
    Oversell { product: u32, oversell: u32 },
    Window { product: u32, opens: u64, closes: u64 },
    Sale { product: u32, sale: Option<u8> },
    PauseSale { sale: u8, paused: bool },
    Wait { ms: u64 },
    Reopen,
}

/// Of which lines a part is.
#[derive(Debug, Clone, Copy)]
enum Of {
    Line(usize),
    Product(u32),
}

fn parts() -> impl Strategy<Value = Option<Vec<(Of, u64)>>> {
    let of = prop_oneof![(0..4usize).prop_map(Of::Line), (0..PRODUCTS).prop_map(Of::Product)];
    proptest::option::of(proptest::collection::vec((of, 1..4u64), 1..3))
}

fn lines(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(u32, u64)>> {
    proptest::collection::vec((0..PRODUCTS, 1..3u64), count)
}

/// What happens to holds and orders.
fn later() -> impl Strategy<Value = Step> {
    let number = 0..40usize;
    prop_oneof![
        6 => (0..BUYERS, lines(1..4), 1..=RULES.ttl_max_ms)
            .prop_map(|(buyer, lines, ttl)| Step::Hold { buyer, lines, ttl }),
        4 => (number.clone(), parts()).prop_map(|(hold, parts)| Step::Confirm { hold, parts }),
        2 => (number.clone(), 0..60u64).prop_map(|(hold, ttl)| Step::Extend { hold, ttl }),
        2 => number.clone().prop_map(|hold| Step::Release { hold }),
        6 => (number, parts(), any::<bool>())
            .prop_map(|(order, parts, restock)| Step::Cancel { order, parts, restock }),
        1 => proptest::bool::weighted(0.3).prop_map(|paused| Step::SellingPaused { paused }),
        1 => (0..PRODUCTS, any::<bool>())
            .prop_map(|(product, free)| Step::ReturnsFree { product, free }),
        // Long enough for how a hold ended to be forgotten.
        1 => Just(Step::Wait { ms: HOLD_KNOWN_MS - 10 }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let product = 0..PRODUCTS;
    let sale = proptest::option::of(0..2u8);
    prop_oneof![
        20 => later(),
        1 => (0..9u64, 0..3u32, 0..4u32, sale.clone())
            .prop_map(|(stock, oversell, limit, sale)| Step::Create { stock, oversell, limit, sale }),
        8 => (product.clone(), 0..BUYERS, 1..4u64)
            .prop_map(|(product, buyer, quantity)| Step::Buy { product, buyer, quantity }),
        4 => (0..BUYERS, lines(2..5))
            .prop_map(|(buyer, lines)| Step::Order { buyer, lines }),
        3 => (product.clone(), -5..6i64).prop_map(|(product, delta)| Step::Delta { product, delta }),
        2 => (product.clone(), 0..9u64, proptest::option::of(-2..6i64))
            .prop_map(|(product, unsold, expected)| Step::SetUnsold { product, unsold, expected }),
        2 => (product.clone(), proptest::option::of(1..5u32))
            .prop_map(|(product, limit)| Step::Limit { product, limit }),
        1 => (product.clone(), 0..4u32).prop_map(|(product, safety)| Step::Safety { product, safety }),
        2 => (product.clone(), 0..4u32)
            .prop_map(|(product, oversell)| Step::Oversell { product, oversell }),
        1 => (product.clone(), 0..50u64, 0..60u64)
            .prop_map(|(product, opens, closes)| Step::Window { product, opens, closes }),
        1 => (product, sale).prop_map(|(product, sale)| Step::Sale { product, sale }),
        1 => (0..2u8, any::<bool>()).prop_map(|(sale, paused)| Step::PauseSale { sale, paused }),
        2 => (0..20u64).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Reopen),
    ]
}

fn sale_id(sale: u8) -> SaleId {
    SaleId::new(&format!("sale-{sale}")).unwrap()
}

fn buyer_id(buyer: u8) -> BuyerId {
    BuyerId::new(&format!("buyer-{buyer}")).unwrap()
}

/// What the domain makes of the step; `None`: a step of the model alone.
fn decide(world: &World, step: &Step, now_ms: u64) -> Option<Result<Decided, Refusal>> {
    let inventory = &world.inventory;
    let order = |buyer: u8, lines: &[(u32, u64)]| {
        let (buyer_id, lines) = (buyer_id(buyer), wishes(lines));
        decide_order(inventory, PlaceOrder { buyer_id, lines }, now_ms)
    };
    let adjust = |product: u32, change| {
        let (product, reason) = (Handle::new(product), AdjustReason::Correction);
        decide_adjustment(inventory, AdjustStock { product, change, reason })
    };
    let patch_of = |product: u32, patch| {
        let targets = Targets::Product { handle: Handle::new(product), terms_version: None };
        decide_terms(inventory, ChangeTerms { targets, patch })
    };
    let keep = TermsPatch::default;
    Some(match step.clone() {
        Step::Create { stock, oversell, limit, sale } => {
            let mut terms = Terms::open(Name::new("a").unwrap());
            (terms.oversell_limit, terms.per_buyer_limit) = (oversell, limit);
            terms.sale_id = sale.map(sale_id);
            let product_id = ProductId::new(&format!("p{}", inventory.len())).unwrap();
            let taken = inventory.len() >= PRODUCTS as usize;
            decide_create(inventory, CreateProduct { product_id, terms, stock }, taken)
        }
        Step::Buy { product, buyer, quantity } => order(buyer, &[(product, quantity)]),
        Step::Order { buyer, lines } => order(buyer, &lines),
        Step::Hold { .. } | Step::Confirm { .. } | Step::Extend { .. } | Step::Release { .. } => {
            return decide_of_hold(world, step, now_ms);
        }
        Step::Cancel { order, parts, restock } => {
            let sequence = world.orders.get(order.checked_rem(world.orders.len())?)?;
            let order = world.placed_order(*sequence);
            let (parts, reason) = (parts.map(parts_of), Text::new("changed mind").unwrap());
            decide_cancel(inventory, CancelOrder { order, parts, reason, restock })
        }
        Step::SellingPaused { paused } => Ok(decide_selling(paused)),
        Step::ReturnsFree { product, free } => {
            patch_of(product, TermsPatch { returns_free_limit: Patch::Set(free), ..keep() })
        }
        Step::Delta { product, delta } => adjust(product, StockChange::Delta(delta)),
        Step::SetUnsold { product, unsold, expected } => {
            adjust(product, StockChange::SetUnsold { unsold, expected })
        }
        Step::Limit { product, limit } => {
            patch_of(product, TermsPatch { per_buyer_limit: Patch::Set(limit), ..keep() })
        }
        Step::Safety { product, safety } => {
            patch_of(product, TermsPatch { safety_stock: Patch::Set(safety), ..keep() })
        }
        Step::Oversell { product, oversell } => {
            patch_of(product, TermsPatch { oversell_limit: Patch::Set(oversell), ..keep() })
        }
        Step::Window { product, opens, closes } => {
            let (opens_at_ms, closes_at_ms) = (Patch::Set(Some(opens)), Patch::Set(Some(closes)));
            patch_of(product, TermsPatch { opens_at_ms, closes_at_ms, ..keep() })
        }
        Step::Sale { product, sale } => {
            patch_of(product, TermsPatch { sale_id: Patch::Set(sale.map(sale_id)), ..keep() })
        }
        Step::PauseSale { sale, paused } => {
            let patch = TermsPatch { paused: Patch::Set(paused), ..keep() };
            decide_terms(inventory, ChangeTerms { targets: Targets::Sale(sale_id(sale)), patch })
        }
        Step::Wait { .. } | Step::Reopen => return None,
    })
}

fn wishes(lines: &[(u32, u64)]) -> LineWishes {
    let line = |(product, quantity): &(u32, u64)| LineWish {
        product: Handle::new(*product),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: None,
    };
    lines.iter().map(line).collect()
}

fn parts_of(parts: Vec<(Of, u64)>) -> Vec<Part> {
    let part = |(of, units)| Part {
        of: match of {
            Of::Line(place) => PartOf::Line(place),
            Of::Product(product) => PartOf::Product(Handle::new(product)),
        },
        quantity: Quantity::new(units).unwrap(),
    };
    parts.into_iter().map(part).collect()
}

/// `None`: no hold was placed yet.
fn decide_of_hold(world: &World, step: &Step, now_ms: u64) -> Option<Result<Decided, Refusal>> {
    let inventory = &world.inventory;
    let named = |hold: usize| world.holds.get(hold.checked_rem(world.holds.len())?).copied();
    Some(match step.clone() {
        Step::Hold { buyer, lines, ttl } => {
            let (buyer_id, lines) = (buyer_id(buyer), wishes(&lines));
            let place = PlaceHold { buyer_id, lines, ttl_ms: ttl };
            decide_hold(inventory, place, &RULES, now_ms)
        }
        Step::Confirm { hold, parts } => {
            let confirm = ConfirmHold { hold: named(hold)?, parts: parts.map(parts_of) };
            decide_confirm(inventory, confirm, now_ms)
        }
        Step::Extend { hold, ttl } => {
            let extend = ExtendHold { hold: named(hold)?, ttl_ms: ttl };
            decide_extend(inventory, extend, &RULES, now_ms)
        }
        Step::Release { hold } => {
            decide_release(inventory, ReleaseHold { hold: named(hold)? }, now_ms)
        }
        other => unreachable!("{other:?} is about no hold"),
    })
}

fn compare(world: &World, model: &Model) {
    assert_eq!(world.inventory.len(), model.products.len());
    for (number, p) in &model.products {
        let product = world.inventory.product(Handle::new(*number)).unwrap();
        let Figures { stock, held, sold } = product.figures;
        let expected = (p.stock, model.held(*number), model.sold(*number));
        assert_eq!((stock as i64, held as i64, sold as i64), expected);
        assert!(held + sold <= stock + u64::from(product.terms.oversell_limit), "P1");
        assert_eq!(product.version.get(), p.version, "each change once, no gaps");
        let buyers = world.inventory.buyers();
        let counts = product.counts.as_ref();
        assert_eq!(counts.is_some(), p.limit > 0);
        let Some(counts) = counts else { continue };
        let has = |buyer: &u8| model.has(*number, *buyer);
        for buyer in 0..BUYERS {
            assert_eq!(buyers.units(counts, &buyer_id(buyer)) as i64, has(&buyer), "exact");
        }
        assert_eq!(counts.len(), (0..BUYERS).filter(|buyer| has(buyer) > 0).count());
    }
    for sale in 0..2 {
        let members = world.inventory.sale(&sale_id(sale)).map(Handle::get);
        assert_eq!(members.collect::<Vec<_>>(), model.of_sale(sale), "membership is exact");
    }
    let holds = world.inventory.holds();
    assert_eq!(world.holds.len(), model.holds.len());
    for (sequence, hold) in world.holds.iter().zip(&model.holds) {
        let expires_at_ms = hold.end.is_none().then_some(hold.expires_ms);
        assert_eq!(holds.live(*sequence).map(|hold| hold.expires_at_ms), expires_at_ms);
        assert_eq!(holds.end_of(*sequence, model.now_ms), model.known_end(hold));
    }
    assert_eq!(world.orders.len(), model.orders.len());
    for (sequence, order) in world.orders.iter().zip(&model.orders) {
        let returned = world.inventory.returns().of(*sequence);
        for (place, line) in order.lines.iter().enumerate() {
            assert_eq!(returned.map_or(0, |returned| returned.units(place)) as i64, line.back);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn domain_does_what_a_naive_model_does(steps in proptest::collection::vec(step(), 1..160)) {
        let (mut world, mut model) = (World { rules: RULES, ..World::default() }, Model::default());
        for step in &steps {
            let decided = decide(&world, step, model.now_ms);
            let expected = model.takes(step);
            world.advance(model.now_ms);
            if let Some(decided) = decided {
                prop_assert_eq!(decided.is_ok(), expected, "{:?}: {:?}", step, decided);
                if let Ok(Decided { decision: Decision::OrderCancelled(body), .. }) = &decided {
                    let number = world.orders.iter().position(|order| *order == body.order);
                    prop_assert_eq!(body.whole, model.orders[number.unwrap()].left() == 0);
                }
                world.take(decided);
            }
            if matches!(step, Step::Reopen) {
                let before = dump(&world.inventory);
                world = world.reopened();
                prop_assert_eq!(dump(&world.inventory), before);
            }
            compare(&world, &model);
        }
        world.replays();
    }
}
