//! Checking a body's fields: every mistake is found and named, not only the first.
//!
//! A null is a value of its own only in a merge-patch, where it means "none"; elsewhere it is as
//! if the field were not there.

use std::borrow::Cow;

use super::json::Value;
use super::problem::{FieldError, Problem};
use super::time;
use crate::domain::{Currency, FIGURE_MAX, Money, Patch};

/// Mistakes named in one answer; a body may hold thousands.
const ERRORS_MAX: usize = 50;

/// What is wrong with a request, so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    errors: Vec<FieldError>,
}

/// An object of which every member is known.
pub(super) struct Members<'a> {
    /// Pointer to the object.
    at: String,
    members: &'a [(Cow<'a, str>, Value<'a>)],
}

/// Checks one value: adds what is wrong with it, or gives what it means.
pub(super) trait Take<T>: FnOnce(&Value<'_>, &str, &mut Errors) -> Option<T> {}
impl<T, F: FnOnce(&Value<'_>, &str, &mut Errors) -> Option<T>> Take<T> for F {}

impl Errors {
    pub(super) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// Nothing to give: the same as [`Self::add`], where a value was wanted.
    pub(super) fn none<T>(&mut self, pointer: &str, detail: impl Into<String>) -> Option<T> {
        self.add(pointer, detail);
        None
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub(super) fn unless_any<T>(self, value: Option<T>) -> Result<T, Problem> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Problem::invalid(self.errors)),
        }
    }
}

impl<'a> Members<'a> {
    /// The members of an object; names that are not `known`, and those that are there twice, are
    /// mistakes.
    pub(super) fn of(
        value: &'a Value<'a>,
        at: &str,
        known: &[&str],
        errors: &mut Errors,
    ) -> Option<Self> {
        let Value::Object(members) = value else {
            return errors.none(at, format!("must be an object, is {}", value.kind()));
        };
        for (place, (name, _)) in members.iter().enumerate() {
            let pointer = || format!("{at}/{}", escape(name));
            if !known.contains(&&**name) {
                errors.add(pointer(), "unknown field");
            } else if members.iter().take(place).any(|(earlier, _)| earlier == name) {
                // Few names are known, so a long body of repetitions stops at the limit of errors.
                errors.add(pointer(), "duplicate field");
            }
            if errors.errors.len() >= ERRORS_MAX {
                break;
            }
        }
        Some(Self { at: at.to_owned(), members })
    }

    /// The value of a field, null too; `None` when it is not there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value<'a>> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| *value != Value::Null)
    }

    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &self,
        name: &str,
        errors: &mut Errors,
        take: impl Take<T>,
    ) -> Option<T> {
        match self.get(name) {
            None | Some(Value::Null) => errors.none(&self.pointer(name), "is required"),
            Some(value) => take(value, &self.pointer(name), errors),
        }
    }

    /// A field that may be missing or null; `None` also when it is wrong.
    pub(super) fn optional<T>(
        &self,
        name: &str,
        errors: &mut Errors,
        take: impl Take<T>,
    ) -> Option<T> {
        match self.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => take(value, &self.pointer(name), errors),
        }
    }

    /// A field of a merge-patch that null sets to none.
    pub(super) fn patch_or_none<T>(
        &self,
        name: &str,
        errors: &mut Errors,
        take: impl Take<T>,
    ) -> Patch<Option<T>> {
        match self.get(name) {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Set(None),
            Some(value) => take(value, &self.pointer(name), errors)
                .map_or(Patch::Keep, |v| Patch::Set(Some(v))),
        }
    }

    /// A field of a merge-patch that is never none: null sets it to `default`.
    pub(super) fn patch_or<T>(
        &self,
        name: &str,
        default: T,
        errors: &mut Errors,
        take: impl Take<T>,
    ) -> Patch<T> {
        match self.patch_or_none(name, errors, take) {
            Patch::Keep => Patch::Keep,
            Patch::Set(value) => Patch::Set(value.unwrap_or(default)),
        }
    }
}

/// A name as a step of a JSON pointer, of a length that can be shown.
fn escape(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.replace('~', "~0").replace('/', "~1")
}

fn wrong(value: &Value<'_>, pointer: &str, wanted: &str, errors: &mut Errors) {
    errors.add(pointer, format!("must be {wanted}, is {}", value.kind()));
}

/// A string that `parse` accepts.
pub(super) fn string<T, E: std::fmt::Display>(
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> impl Take<T> {
    move |value: &Value<'_>, pointer: &str, errors: &mut Errors| match value {
        Value::String(text) => match parse(text) {
            Ok(value) => Some(value),
            Err(error) => errors.none(pointer, error.to_string()),
        },
        value => {
            wrong(value, pointer, "a string", errors);
            None
        }
    }
}

/// An integer from `min` to `max`.
pub(super) fn integer(min: i64, max: i64) -> impl Take<i64> {
    move |value: &Value<'_>, pointer: &str, errors: &mut Errors| {
        let range = || format!("must be an integer from {min} to {max}");
        match value {
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(number) if (min..=max).contains(&number) => Some(number),
                _ => errors.none(pointer, format!("{}, is {number}", range())),
            },
            // As a float, what had too many digits is whole and huge.
            Value::Other(number) if number.abs() >= 9e15 => errors.none(pointer, range()),
            Value::Other(_) => {
                errors.none(pointer, "must be an integer, written without fraction or exponent")
            }
            value => {
                wrong(value, pointer, "an integer", errors);
                None
            }
        }
    }
}

/// An integer from `min` to `max`, none of them negative.
pub(super) fn whole(min: u64, max: u64) -> impl Take<u64> {
    let (min, max) = (signed(min), signed(max));
    move |value: &Value<'_>, pointer: &str, errors: &mut Errors| {
        integer(min, max)(value, pointer, errors).map(i64::unsigned_abs)
    }
}

/// As [`whole`], for what is kept in 32 bits.
pub(super) fn whole_u32(min: u32, max: u32) -> impl Take<u32> {
    move |value: &Value<'_>, pointer: &str, errors: &mut Errors| {
        let number = whole(min.into(), max.into())(value, pointer, errors)?;
        Some(u32::try_from(number).expect("its maximum is one"))
    }
}

fn signed(bound: u64) -> i64 {
    i64::try_from(bound).expect("bounds stay below 2^53")
}

/// true or false.
pub(super) fn boolean(value: &Value<'_>, pointer: &str, errors: &mut Errors) -> Option<bool> {
    match value {
        Value::Bool(is) => Some(*is),
        value => {
            wrong(value, pointer, "true or false", errors);
            None
        }
    }
}

/// A moment in RFC 3339.
pub(super) fn moment(value: &Value<'_>, pointer: &str, errors: &mut Errors) -> Option<u64> {
    string(time::read)(value, pointer, errors)
}

/// `{amount_minor, currency}`.
pub(super) fn money(value: &Value<'_>, pointer: &str, errors: &mut Errors) -> Option<Money> {
    let members = Members::of(value, pointer, &["amount_minor", "currency"], errors)?;
    let amount_minor = members.required("amount_minor", errors, whole(0, FIGURE_MAX));
    let currency = members.required("currency", errors, string(Currency::new));
    Money::new(amount_minor?, currency?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json;

    #[test]
    fn every_mistake_is_named_where_it_is() {
        let body = br#"{"a":1.0,"b":"x","b":"y","c~/d":1,"price":{"amount_minor":-1,"vat":2}}"#;
        let value = json::parse(body).unwrap();
        let mut errors = Errors::default();
        let members = Members::of(&value, "", &["a", "b", "n", "price"], &mut errors).unwrap();
        members.optional("a", &mut errors, whole(0, 9));
        members.required("n", &mut errors, boolean);
        members.optional("price", &mut errors, money);
        let pointers: Vec<_> = errors.errors.iter().map(|error| &*error.pointer).collect();
        let expected =
            ["/b", "/c~0~1d", "/a", "/n", "/price/vat", "/price/amount_minor", "/price/currency"];
        assert_eq!(pointers, expected, "{errors:?}");
        assert!(errors.unless_any(Some(())).is_err());
    }

    #[test]
    fn thousands_of_mistakes_make_a_short_answer() {
        let body = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(10_000));
        let value = json::parse(body.as_bytes()).unwrap();
        let mut errors = Errors::default();
        Members::of(&value, "", &["a"], &mut errors);
        assert_eq!(errors.errors.len(), ERRORS_MAX);
    }

    #[test]
    fn integers_are_exact_or_refused() {
        let take = |text: &str| {
            let value = json::parse(text.as_bytes()).unwrap();
            whole(1, FIGURE_MAX)(&value, "", &mut Errors::default())
        };
        assert_eq!(take("9007199254740991"), Some(FIGURE_MAX));
        for wrong in ["9007199254740992", "0", "-1", "1.0", "1e3", "-0", "\"1\"", "1e300"] {
            assert_eq!(take(wrong), None, "{wrong}");
        }
        assert_eq!(take("99999999999999999999999"), None);
    }
}
