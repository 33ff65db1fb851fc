//! The scenarios: what each asks for, how often, and what each kind of request may take.

use serde::{Deserialize, Serialize};

use crate::load::work::{Kind, Mix, Spread, Work};

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// 115 purchases and 10,000 lists a second.
    SmallShop,
    /// 6,000 connections, four views to a purchase, beside the bare server.
    SixThousand,
    /// 5,000 requests a second of which 500 place orders, each kind with a bound of its own.
    OrderDesk,
    /// 10,000 requests a second over 1,000 products, few of which most want.
    Retail,
    /// 400 purchases and 40,000 reads a second.
    ReadHeavy,
    /// Four views to a purchase at one rate after another, directly and through nginx.
    Rates,
}

/// How a scenario is run.
#[derive(Debug, Clone)]
pub(super) enum Play {
    /// One turn.
    Script(Script),
    /// A comparison of its own.
    SixThousand,
    /// Turns by rate.
    Rates,
}

/// What a scenario does.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) rate: f64,
    pub(super) mix: Mix,
    pub(super) connections: usize,
    pub(super) products: u64,
    pub(super) spread: Spread,
    /// Failures in a hundred.
    pub(super) failures_percent: f64,
    /// What the 99th percentile of a kind may be, in milliseconds.
    pub(super) p99_ms: Vec<(Kind, f64)>,
    /// What the 95th percentile of all may be, in milliseconds.
    pub(super) p95_ms: Option<f64>,
}

impl Script {
    /// Four views to a purchase, each product as often as any other, without bounds.
    pub(super) fn view_buy(rate: f64, connections: usize, products: u64) -> Self {
        Self::plain(rate, Work::ViewBuy.mix(), connections, products)
    }

    /// A script without bounds.
    fn plain(rate: f64, mix: Mix, connections: usize, products: u64) -> Self {
        Self {
            rate,
            mix,
            connections,
            products,
            spread: Spread::Uniform,
            failures_percent: 0.0,
            p99_ms: Vec::new(),
            p95_ms: None,
        }
    }
}

impl Name {
    /// As on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmallShop => "small-shop",
            Self::SixThousand => "six-thousand",
            Self::OrderDesk => "order-desk",
            Self::Retail => "retail",
            Self::ReadHeavy => "read-heavy",
            Self::Rates => "rates",
        }
    }

    /// How it is run.
    pub(super) fn play(self) -> Play {
        let script =
            |rate, mix, connections, products| Script::plain(rate, Mix(mix), connections, products);
        Play::Script(match self {
            Self::SixThousand => return Play::SixThousand,
            Self::Rates => return Play::Rates,
            Self::SmallShop => Script {
                p99_ms: vec![(Kind::Purchase, 100.0), (Kind::List, 100.0)],
                ..script(10_115.0, vec![(Kind::List, 10_000), (Kind::Purchase, 115)], 500, 200)
            },
            Self::OrderDesk => {
                let mix = vec![
                    (Kind::Cart, 400),
                    (Kind::Confirm, 100),
                    (Kind::Hold, 500),
                    (Kind::Order, 2_000),
                    (Kind::List, 2_000),
                ];
                let p99_ms = vec![
                    (Kind::Cart, 800.0),
                    (Kind::Confirm, 800.0),
                    (Kind::Order, 150.0),
                    (Kind::Hold, 40.0),
                    (Kind::List, 80.0),
                ];
                Script { p99_ms, ..script(5_000.0, mix, 500, 200) }
            }
            Self::Retail => {
                let mix = vec![
                    (Kind::Stock, 50),
                    (Kind::List, 30),
                    (Kind::Purchase, 10),
                    (Kind::Cart, 5),
                    (Kind::Order, 5),
                ];
                Script {
                    spread: Spread::Zipf,
                    failures_percent: 1.0,
                    p95_ms: Some(200.0),
                    ..script(10_000.0, mix, 1_000, 1_000)
                }
            }
            Self::ReadHeavy => {
                let mix = vec![(Kind::Stock, 320), (Kind::List, 80), (Kind::Purchase, 4)];
                let p99_ms =
                    vec![(Kind::Stock, 100.0), (Kind::List, 100.0), (Kind::Purchase, 200.0)];
                Script { p99_ms, ..script(40_400.0, mix, 1_000, 1_000) }
            }
        })
    }
}
