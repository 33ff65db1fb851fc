//! Random commands against a naive model that shares nothing with the domain: plain maps, no
//! versions of shared rules, with a reopening from the journal in between.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::dump::dump;
use super::script::World;
use crate::domain::*;

const PRODUCTS: u32 = 3;

/// One random step; the figures are small, so that edges are met often.
#[derive(Debug, Clone)]
enum Step {
    Create { stock: u64, oversell: u32, limit: u32, sale: Option<u8> },
    Buy { product: u32, buyer: u8, quantity: u64 },
    Order { buyer: u8, lines: Vec<(u32, u64)> },
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

/// What the naive model keeps of a product.
#[derive(Debug, Default)]
struct Naive {
    stock: i64,
    sold: i64,
    oversell: i64,
    safety: i64,
    limit: i64,
    opens: u64,
    closes: Option<u64>,
    paused: bool,
    sale: Option<u8>,
    version: u64,
    bought: HashMap<u8, i64>,
}

#[derive(Default)]
struct Model {
    products: BTreeMap<u32, Naive>,
    now_ms: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let product = 0..PRODUCTS;
    let sale = proptest::option::of(0..2u8);
    prop_oneof![
        1 => (0..9u64, 0..3u32, 0..4u32, sale.clone())
            .prop_map(|(stock, oversell, limit, sale)| Step::Create { stock, oversell, limit, sale }),
        8 => (product.clone(), 0..3u8, 1..4u64)
            .prop_map(|(product, buyer, quantity)| Step::Buy { product, buyer, quantity }),
        4 => (0..3u8, proptest::collection::vec((product.clone(), 1..3u64), 2..5))
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

impl Model {
    /// Whether a buyer may have `units` of a product now.
    fn sells(&self, product: u32, buyer: u8, units: i64) -> bool {
        let Some(p) = self.products.get(&product) else { return false };
        let open = !p.paused && self.now_ms >= p.opens;
        let open = open && p.closes.is_none_or(|closes| self.now_ms < closes);
        let enough = p.stock + p.oversell - p.safety - p.sold >= units;
        let has = p.bought.get(&buyer).copied().unwrap_or(0);
        open && enough && (p.limit == 0 || has + units <= p.limit)
    }

    fn order(&mut self, buyer: u8, lines: &[(u32, u64)]) -> bool {
        let mut wanted = BTreeMap::<u32, i64>::new();
        for (product, quantity) in lines {
            *wanted.entry(*product).or_default() += *quantity as i64;
        }
        let sells = wanted.iter().all(|(product, units)| self.sells(*product, buyer, *units));
        for (product, units) in wanted.into_iter().filter(|_| sells) {
            let p = self.products.get_mut(&product).unwrap();
            p.sold += units;
            p.version += 1;
            if p.limit > 0 {
                *p.bought.entry(buyer).or_default() += units;
            }
        }
        sells
    }

    fn adjust(&mut self, product: u32, delta: i64) -> bool {
        let Some(p) = self.products.get_mut(&product) else { return false };
        let after = p.stock + delta;
        let fits = after >= 0 && p.sold <= after + p.oversell;
        if fits {
            p.stock = after;
            p.version += 1;
        }
        fits
    }

    /// Changes terms of some products, all or none.
    fn change(
        &mut self,
        of: &[u32],
        fits: impl Fn(&Naive) -> bool,
        set: impl Fn(&mut Naive),
    ) -> bool {
        let fits = !of.is_empty()
            && of.iter().all(|product| self.products.get(product).is_some_and(&fits));
        for product in of.iter().filter(|_| fits) {
            let p = self.products.get_mut(product).unwrap();
            set(p);
            p.version += 1;
        }
        fits
    }

    fn of_sale(&self, sale: u8) -> Vec<u32> {
        let members = self.products.iter().filter(|(_, p)| p.sale == Some(sale));
        members.map(|(product, _)| *product).collect()
    }

    /// Whether the step happens; does it if so.
    fn takes(&mut self, step: &Step) -> bool {
        match step.clone() {
            Step::Create { stock, oversell, limit, sale } => {
                let next = u32::try_from(self.products.len()).unwrap();
                let naive = Naive {
                    stock: stock as i64,
                    oversell: i64::from(oversell),
                    limit: i64::from(limit),
                    sale,
                    version: 1,
                    ..Naive::default()
                };
                next < PRODUCTS && self.products.insert(next, naive).is_none()
            }
            Step::Buy { product, buyer, quantity } => self.order(buyer, &[(product, quantity)]),
            Step::Order { buyer, lines } => self.order(buyer, &lines),
            Step::Delta { product, delta } => self.adjust(product, delta),
            Step::SetUnsold { product, unsold, expected } => {
                let Some(p) = self.products.get(&product) else { return false };
                let found = p.stock - p.sold;
                expected.is_none_or(|expected| expected == found)
                    && self.adjust(product, unsold as i64 - found)
            }
            Step::Limit { product, limit } => self.change(
                &[product],
                |_| true,
                |p| {
                    p.limit = limit.map_or(0, i64::from);
                    if limit.is_none() {
                        p.bought.clear();
                    }
                },
            ),
            Step::Safety { product, safety } => {
                self.change(&[product], |_| true, |p| p.safety = i64::from(safety))
            }
            Step::Oversell { product, oversell } => {
                let oversell = i64::from(oversell);
                let fits = |p: &Naive| p.sold <= p.stock + oversell;
                self.change(&[product], fits, |p| p.oversell = oversell)
            }
            Step::Window { product, opens, closes } => self.change(
                &[product],
                |_| opens < closes,
                |p| {
                    (p.opens, p.closes) = (opens, Some(closes));
                },
            ),
            Step::Sale { product, sale } => self.change(&[product], |_| true, |p| p.sale = sale),
            Step::PauseSale { sale, paused } => {
                self.change(&self.of_sale(sale), |_| true, |p| p.paused = paused)
            }
            Step::Wait { ms } => {
                self.now_ms += ms;
                true
            }
            Step::Reopen => true,
        }
    }
}

/// What the domain makes of the step; `None`: a step of the model alone.
fn decide(world: &World, step: &Step, now_ms: u64) -> Option<Result<Decided, Refusal>> {
    let inventory = &world.inventory;
    let order = |buyer: u8, lines: &[(u32, u64)]| {
        let line = |(product, quantity): &(u32, u64)| LineWish {
            product: Handle::new(*product),
            quantity: Quantity::new(*quantity).unwrap(),
            unit_price: None,
        };
        let lines = lines.iter().map(line).collect();
        decide_order(inventory, PlaceOrder { buyer_id: buyer_id(buyer), lines }, now_ms)
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

fn compare(world: &World, model: &Model) {
    assert_eq!(world.inventory.len(), model.products.len());
    for (number, p) in &model.products {
        let product = world.inventory.product(Handle::new(*number)).unwrap();
        let Figures { stock, held, sold } = product.figures;
        assert_eq!((stock as i64, held, sold as i64), (p.stock, 0, p.sold));
        assert!(held + sold <= stock + u64::from(product.terms.oversell_limit), "P1");
        assert_eq!(product.version.get(), p.version, "each change once, no gaps");
        let buyers = world.inventory.buyers();
        let counts = product.counts.as_ref();
        assert_eq!(counts.is_some(), p.limit > 0);
        for (buyer, units) in &p.bought {
            let counted = counts.map_or(0, |counts| buyers.units(counts, &buyer_id(*buyer)));
            assert_eq!(counted as i64, *units, "counts are exact");
        }
        assert_eq!(counts.map_or(0, |counts| counts.len()), p.bought.len());
    }
    for sale in 0..2 {
        let members = world.inventory.sale(&sale_id(sale)).map(Handle::get);
        assert_eq!(members.collect::<Vec<_>>(), model.of_sale(sale), "membership is exact");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn domain_does_what_a_naive_model_does(steps in proptest::collection::vec(step(), 1..120)) {
        let (mut world, mut model) = (World::default(), Model::default());
        for step in &steps {
            let decided = decide(&world, step, model.now_ms);
            let expected = model.takes(step);
            if let Some(decided) = decided {
                prop_assert_eq!(decided.is_ok(), expected, "{:?}: {:?}", step, decided);
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
