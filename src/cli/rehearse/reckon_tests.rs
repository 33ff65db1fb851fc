//! Cases of a file: what its steps are, and what must become of them.

use super::*;
use crate::cli::rehearse::columns::Columns;
use crate::cli::rehearse::line::Reading;
use crate::cli::rehearse::sheet::Sheet;
use crate::cli::rehearse::stock::StockRule;

/// The plan for lines `invoice product units price customer`, a minute apart.
fn plan(lines: &str, stock: u64, partial: Partial) -> Plan {
    let columns = "invoice product description quantity date price customer";
    let name = |place: usize| columns.split(' ').nth(place).unwrap().to_owned();
    let reading = Reading {
        columns: Columns {
            invoice: name(0),
            product: name(1),
            description: name(2),
            quantity: name(3),
            date: name(4),
            price: name(5),
            customer: name(6),
        },
        delimiter: b',',
        date_format: "%F %H:%M".to_owned(),
        currency: "GBP".to_owned(),
        service_codes: Vec::new(),
        cancellation_mark: "C".to_owned(),
    };
    let mut text = columns.replace(' ', ",") + "\n";
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [invoice, product, units, price, customer] =
            line.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        let customer = customer.trim_start_matches('-');
        text += &format!("{invoice},{product},,{units},2010-12-01 09:00,{price},{customer}\n");
    }
    let sheet = Sheet::read(text.as_bytes(), &reading).unwrap();
    assert_eq!(sheet.skipped, []);
    Plan::new("r", &sheet, &StockRule::Each(stock), "GBP", partial)
}

/// Each verdict as a word.
fn check(lines: &str, stock: u64, partial: Partial, expected: &[&str]) {
    let told: Vec<String> = reckon(&plan(lines, stock, partial))
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Sold(got, _) => format!("sold {got:?}"),
            Verdict::Refused(short) => {
                let short = short.iter();
                let short: Vec<String> = short
                    .map(|short| {
                        format!("{}: {} of {}", short.product, short.available, short.requested)
                    })
                    .collect();
                format!("refused {}", short.join(", "))
            }
            Verdict::Returned(taken, rest) => {
                let taken = taken.iter();
                let taken: Vec<String> = taken
                    .map(|taken| format!("{} of {}.{}", taken.units, taken.step, taken.place))
                    .collect();
                format!("back {}, {rest} returned", taken.join(" "))
            }
            Verdict::WrittenOff => "written off".to_owned(),
            Verdict::Kept => "kept".to_owned(),
        })
        .collect();
    assert_eq!(told, expected);
}

const CARTS: &str = "
    1 A  3 1 x
    1 B  2 1 x
    1 A  4 1 x
    2 A  5 1 -
    2 B  9 1 -
    3 B 12 1 y";

#[test]
fn order_is_sold_whole_or_refused_with_every_product_that_is_short() {
    let refused = ["refused 0: 3 of 5, 1: 8 of 9", "refused 1: 8 of 12"];
    check(CARTS, 10, Partial::Refuse, &["sold [3, 2, 4]", refused[0], refused[1]]);
}

#[test]
fn refused_order_is_filled_line_by_line_as_far_as_it_goes() {
    check(CARTS, 6, Partial::Fill, &["sold [3, 2, 3]", "sold [0, 4]", "refused 1: 0 of 12"]);
}

#[test]
fn cancellation_takes_the_newest_units_of_that_customer_and_product() {
    let lines = "
        1  A  3 1 x
        2  A  2 1 x
        2  B  1 1 x
        2  A  2 1 x
        3  A  9 1 y
        C4 A -5 1 x
        C5 A -9 1 x
        C6 A -1 1 -
        7  A 15 1 z";
    let back = ["back 2 of 1.2 2 of 1.0 1 of 0.0, 0 returned", "back 2 of 0.0, 7 returned"];
    let all = ["sold [3]", "sold [2, 1, 2]", "sold [9]"];
    let rest = ["back , 1 returned", "sold [15]"];
    check(lines, 16, Partial::Refuse, &[&all[..], &back, &rest].concat());
}

#[test]
fn unsold_units_can_be_written_off_and_sold_ones_cannot() {
    let lines = "
        1 A -3 0 -
        2 A  6 1 x
        3 A -2 0 -
        4 A  1 1 x";
    check(lines, 10, Partial::Refuse, &["written off", "sold [6]", "kept", "sold [1]"]);
}

#[test]
fn invoice_that_comes_again_is_another_order_and_a_long_one_is_split() {
    check("1 A 1 1 x\n 2 A 1 1 x\n 1 A 1 1 x", 3, Partial::Refuse, &["sold [1]"; 3]);
    let plan = plan(&"1 A 1 1 x\n".repeat(2_001), 3_000, Partial::Refuse);
    let lengths: Vec<usize> = plan.steps.iter().map(|step| plan.lines_of(step).count()).collect();
    assert_eq!((lengths, plan.split), (vec![1_000, 1_000, 1], vec!["1".to_owned()]));
}

#[test]
fn customers_keep_the_order_of_their_own_steps() {
    let lines = "1 A 1 1 x\n 2 A 1 1 y\n C3 A -1 1 x\n 4 A 1 1 -\n 5 A -1 0 -";
    let plan = plan(lines, 3, Partial::Refuse);
    assert_eq!(plan.chains(1), [[0, 1, 2, 3, 4]]);
    assert_eq!(plan.chains(2), [vec![0, 2], vec![1], vec![3], vec![4]]);
}
