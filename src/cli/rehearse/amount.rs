//! A price as it stands in a file, exactly: decimal digits to minor units, never through a float.

/// Why a text is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AmountError {
    /// Not digits with at most one point.
    #[error("{0:?} is no price such as 2.55")]
    Form(String),
    /// Digits the currency cannot hold.
    #[error("{text} has more than {digits} digits behind the point")]
    Digits {
        /// As written.
        text: String,
        /// Digits the currency has.
        digits: u32,
    },
    /// Over what an order may hold.
    #[error("{0} is too large a price")]
    Large(String),
}

/// Minor units of a decimal number; `exponent` is the currency's digits behind the point.
///
/// Zeros behind the last digit change nothing and are allowed: `2.500` is 250.
pub(super) fn minor_units(text: &str, exponent: u32) -> Result<i64, AmountError> {
    let form = || AmountError::Form(text.chars().take(32).collect());
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || (whole.is_empty() && part.is_empty()) {
        return Err(form());
    }
    let part = part.trim_end_matches('0');
    let Some(missing) = exponent.checked_sub(u32::try_from(part.len()).unwrap_or(u32::MAX)) else {
        return Err(AmountError::Digits { text: text.to_owned(), digits: exponent });
    };
    let joined = format!("{whole}{part}{:0<width$}", "", width = missing as usize);
    let joined = if joined.is_empty() { "0" } else { &joined };
    let large = |_| AmountError::Large(text.chars().take(32).collect());
    let amount: i64 = joined.parse().map_err(large)?;
    Ok(if negative { -amount } else { amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_minor_units_exactly() {
        let cases = [
            ("2.55", 255),
            ("0.07", 7),
            ("4", 400),
            ("4.", 400),
            (".5", 50),
            ("2.500", 250),
            ("0", 0),
            ("0.000", 0),
            ("-11062.06", -1_106_206),
            ("16888.02", 1_688_802),
            ("1.10", 110),
        ];
        for (text, minor) in cases {
            assert_eq!(minor_units(text, 2), Ok(minor), "{text}");
        }
        assert_eq!(minor_units("569", 0), Ok(569));
        assert_eq!(minor_units("1.234", 3), Ok(1_234));
    }

    #[test]
    fn what_a_currency_cannot_hold_is_refused() {
        for text in ["", ".", "-", "abc", "1,5", "1e3", "£2", "1.2.3", "--1", "+-1", "1 000", "٣"]
        {
            assert!(matches!(minor_units(text, 2), Err(AmountError::Form(_))), "{text}");
        }
        assert!(matches!(minor_units("0.001", 2), Err(AmountError::Digits { .. })));
        assert!(matches!(minor_units("1.5", 0), Err(AmountError::Digits { .. })));
        let large = minor_units("99999999999999999999", 2);
        assert!(matches!(large, Err(AmountError::Large(_))));
    }
}
