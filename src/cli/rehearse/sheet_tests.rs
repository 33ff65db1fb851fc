//! Cases of reading order lines: what is a sale, a cancellation, a write-off, skipped or bad.

use super::*;
use crate::cli::rehearse::columns::Columns;

fn reading() -> Reading {
    Reading {
        columns: Columns {
            invoice: "InvoiceNo".into(),
            product: "StockCode".into(),
            description: "Description".into(),
            quantity: "Quantity".into(),
            date: "InvoiceDate".into(),
            price: "UnitPrice".into(),
            customer: "CustomerID".into(),
        },
        delimiter: b',',
        date_format: "%d/%m/%Y %H:%M".into(),
        currency: "GBP".into(),
        service_codes: vec!["POST".into(), "GIFT_*".into()],
        cancellation_mark: "C".into(),
    }
}

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n";

fn read(lines: &str) -> Sheet {
    Sheet::read(format!("{HEADER}{lines}").as_bytes(), &reading()).unwrap()
}

#[test]
fn a_line_is_a_sale_to_its_customer_or_a_guest() {
    let sheet = read(
        "536365,85123A,\"HOLDER, WHITE\",6,01/12/2010 08:26,2.55,17850\n\
         536366,85123a,,2,01/12/2010 08:28,10,\n\
         536366,85123A,OTHER NAME,1,02/12/2010 08:28,2.5,17850\n",
    );
    assert_eq!((sheet.read, sheet.lines.len(), sheet.skipped.len()), (3, 3, 0));
    let first = &sheet.lines[0];
    assert_eq!((first.number, first.quantity, first.price_minor), (2, 6, 255));
    assert_eq!((first.buyer_id.as_str(), first.invoice.as_str()), ("17850", "536365"));
    assert_eq!(first.at.to_string(), "2010-12-01T08:26:00");
    assert_eq!(sheet.lines[1].buyer_id, "guest-536366");
    assert_eq!(sheet.products.len(), 2, "case tells products apart");
    assert_eq!(sheet.products[0].name, "HOLDER, WHITE");
    assert_eq!(sheet.products[0].demand_units, 7);
    assert_eq!((sheet.lines[2].product, sheet.products[1].name.as_str()), (0, ""));
}

/// Reads one line and expects it skipped so.
fn check(line: &str, reason: Reason, part: &str) {
    let good = "1,A,B,1,01/12/2010 08:26,1,1\n";
    let sheet = read(&format!("{good}{line}\n{good}"));
    assert_eq!((sheet.lines.len(), sheet.skipped.len()), (2, 1), "{line}: {:?}", sheet.skipped);
    let skipped = &sheet.skipped[0];
    assert_eq!((skipped.line, skipped.reason), (3, reason), "{line}: {skipped:?}");
    assert!(skipped.detail.contains(part), "{line}: {skipped:?}");
}

#[test]
fn what_is_not_played_is_skipped_by_its_reason() {
    check("1,POST,x,1,01/12/2010 08:26,1,1", Reason::ServiceRow, "POST");
    check("1,gift_0001_10,x,1,01/12/2010 08:26,1,1", Reason::ServiceRow, "gift");
    check("1,A,x,-1,01/12/2010 08:26,1,1", Reason::QuantityNotAboveZero, "-1");
    check("C1,A,x,-1,01/12/2010 08:26,-1,1", Reason::QuantityNotAboveZero, "-1");
    check("1,A,x,0,01/12/2010 08:26,1,1", Reason::QuantityNotAboveZero, "0");
    check("1,A,x,1,01/12/2010 08:26,0,1", Reason::PriceNotAboveZero, "0");
    check("1,A,x,1,01/12/2010 08:26,-11062.06,1", Reason::PriceNotAboveZero, "-11062.06");
}

#[test]
fn negative_units_come_back_or_are_written_off() {
    let sheet = read(
        "C1,A,LAMP,-3,01/12/2010 08:26,2.55,17850\n\
         C1,A,LAMP,-2,01/12/2010 08:26,0,17850\n\
         C2,B,BELL,2,01/12/2010 08:26,1,\n\
         7,C,damages,-4,01/12/2010 08:26,0,\n",
    );
    let told: Vec<(Kind, u64)> =
        sheet.lines.iter().map(|line| (line.kind, line.quantity)).collect();
    let sale = (Kind::Sale, 2);
    let back = [(Kind::Cancellation, 3), (Kind::Cancellation, 2)];
    assert_eq!(told, [back[0], back[1], sale, (Kind::WriteOff, 4)]);
    let products: Vec<(&str, u64)> =
        sheet.products.iter().map(|product| (&*product.name, product.demand_units)).collect();
    assert_eq!(products, [("LAMP", 0), ("BELL", 2), ("", 0)], "a write-off says why, not what");
    let mut without = reading();
    without.cancellation_mark = String::new();
    let text = format!("{HEADER}C1,A,x,-1,01/12/2010 08:26,0,1\n");
    let sheet = Sheet::read(text.as_bytes(), &without).unwrap();
    assert_eq!(sheet.lines[0].kind, Kind::WriteOff);
}

#[test]
fn stretches_end_where_invoice_or_customer_change() {
    let line =
        |invoice, code, customer| format!("{invoice},{code},x,1,01/12/2010 08:26,1,{customer}\n");
    let rows = [(1, "A", 7), (1, "POST", 7), (1, "B", 7), (2, "POST", 7), (1, "A", 7), (1, "A", 8)];
    let sheet = read(&rows.map(|(invoice, code, customer)| line(invoice, code, customer)).concat());
    let stretches: Vec<u64> = sheet.lines.iter().map(|line| line.stretch).collect();
    assert_eq!(stretches, [1, 1, 3, 4]);
}

#[test]
fn a_bad_line_is_told_with_what_is_wrong() {
    check("1,A,x,1,01/12/2010 08:26,1", Reason::Bad, "6 fields");
    check(
        "1,A,x,1,01/12/2010 08:26,1,1\r2,A,x,1,01/12/2010 08:26,1,1",
        Reason::Bad,
        "carriage return",
    );
    check("1,A,x,one,01/12/2010 08:26,1,1", Reason::Bad, "Quantity \"one\"");
    check("1,A,x,1.5,01/12/2010 08:26,1,1", Reason::Bad, "Quantity \"1.5\"");
    check("1,A,x,9999999999,01/12/2010 08:26,1,1", Reason::Bad, "1000000000");
    check("1,A,x,1,01/12/2010 08:26,1.005,1", Reason::Bad, "more than 2 digits");
    check("1,A,x,1,01/12/2010 08:26,free,1", Reason::Bad, "UnitPrice: \"free\"");
    check("1,A,x,1,2010-12-01,1,1", Reason::Bad, "InvoiceDate \"2010-12-01\"");
    check("1,A,x,1,31/02/2010 08:26,1,1", Reason::Bad, "InvoiceDate");
    check("1,BANK CHARGES,x,1,01/12/2010 08:26,1,1", Reason::Bad, "StockCode \"BANK CHARGES\"");
    check("1,,x,1,01/12/2010 08:26,1,1", Reason::Bad, "StockCode \"\"");
    check("1/2,A,x,1,01/12/2010 08:26,1,1", Reason::Bad, "InvoiceNo \"1/2\"");
    check("1,A,x,1,01/12/2010 08:26,1,Mr X", Reason::Bad, "buyer \"Mr X\"");
}

#[test]
fn missing_columns_are_told_with_those_found() {
    let error = Sheet::read(b"Invoice,StockCode,Price\n", &reading()).unwrap_err();
    assert!(error.contains("\"InvoiceNo\" (--column-invoice)"), "{error}");
    assert!(error.contains("\"Invoice\", \"StockCode\", \"Price\""), "{error}");
    assert!(Sheet::read(b"", &reading()).is_err());
    let twice = HEADER.replace("Description", "Quantity");
    let mut without = reading();
    without.columns.description = String::new();
    let error = Sheet::read(twice.as_bytes(), &without).unwrap_err();
    assert_eq!(error, "it has the column \"Quantity\" twice");
    let mut without = reading();
    (without.columns.customer, without.columns.description) = (String::new(), String::new());
    let text = b"InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice\n7,A,1,01/12/2010 08:26,1\n";
    let sheet = Sheet::read(text, &without).unwrap();
    assert_eq!(sheet.lines[0].buyer_id, "guest-7");
}
