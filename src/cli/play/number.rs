//! Figures as a person reads them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of what: `1 product`, `2,000 products`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// Minor units as money: `123456` with exponent 2 as `1,234.56`.
pub(crate) fn money(amount_minor: u64, exponent: u32) -> String {
    let Some(unit) = 10u64.checked_pow(exponent).filter(|unit| *unit > 1) else {
        return grouped(amount_minor);
    };
    let (whole, part) = (amount_minor / unit, amount_minor % unit);
    format!("{}.{part:0width$}", grouped(whole), width = exponent as usize)
}

/// Digits behind the point in a currency's usual writing.
pub(crate) fn exponent_of(currency: &str) -> u32 {
    let known = iso_currency::Currency::from_code(currency);
    known.and_then(|known| known.exponent()).map_or(2, u32::from)
}

/// A short time: `840 µs`, `12.3 ms`, `4.56 s`.
pub(crate) fn short_time(time: Duration) -> String {
    match time.as_micros() {
        0..1_000 => format!("{} µs", time.as_micros()),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

/// So many in that time, a second.
pub(crate) fn per_second(count: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_money_keeps_its_digits() {
        assert_eq!((grouped(0), grouped(999)), ("0".into(), "999".into()));
        assert_eq!((grouped(1_000), grouped(1_234_567)), ("1,000".into(), "1,234,567".into()));
        assert_eq!((counted(1, "unit"), counted(0, "unit")), ("1 unit".into(), "0 units".into()));
        assert_eq!((money(5, 2), money(123_456, 2)), ("0.05".into(), "1,234.56".into()));
        assert_eq!((money(5, 0), money(1_005, 3)), ("5".into(), "1.005".into()));
        assert_eq!((exponent_of("JPY"), exponent_of("GBP"), exponent_of("KWD")), (0, 2, 3));
    }

    #[test]
    fn times_have_three_digits_or_so() {
        assert_eq!(short_time(Duration::from_micros(840)), "840 µs");
        assert_eq!(short_time(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!(short_time(Duration::from_millis(4_560)), "4.56 s");
        assert_eq!(per_second(500, Duration::from_millis(250)), 2_000);
    }
}
