//! Routes: which resource a path names, and which methods it has.
//!
//! By hand, because the table is small and closed: unknown paths, wrong methods, `HEAD` and the
//! labels of metrics come out of the same place, without a middleware around each.

use std::borrow::Cow;

use actix_web::http::Method;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Products,
    Product(Cow<'a, str>),
    Stock(Cow<'a, str>),
    Adjustments(Cow<'a, str>),
    History(Cow<'a, str>),
    Sales,
    Sale(Cow<'a, str>),
    Purchases,
    Orders,
    Order(Cow<'a, str>),
    OrderCancel(Cow<'a, str>),
    Holds,
    Hold(Cow<'a, str>),
    HoldExtend(Cow<'a, str>),
    HoldConfirm(Cow<'a, str>),
    Livez,
    Readyz,
    Metrics,
    Unknown,
}

impl<'a> Route<'a> {
    /// The resource of a path.
    pub(super) fn of(path: &'a str) -> Self {
        // The one that has to be fast.
        if path == "/v1/purchases" {
            return Self::Purchases;
        }
        match path {
            "/v1/products" => return Self::Products,
            "/v1/orders" => return Self::Orders,
            "/v1/holds" => return Self::Holds,
            "/v1/sales" => return Self::Sales,
            "/livez" | "/health" => return Self::Livez,
            "/readyz" | "/ready" => return Self::Readyz,
            "/metrics" => return Self::Metrics,
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/v1/") else { return Self::Unknown };
        let mut segments = rest.split('/');
        let (resource, id, below) = (segments.next(), segments.next(), segments.next());
        let id = id.and_then(decoded).filter(|id| !id.is_empty());
        match (resource, id, below, segments.next()) {
            (Some("products"), Some(id), None, None) => Self::Product(id),
            (Some("products"), Some(id), Some("stock"), None) => Self::Stock(id),
            (Some("products"), Some(id), Some("adjustments"), None) => Self::Adjustments(id),
            (Some("products"), Some(id), Some("history"), None) => Self::History(id),
            (Some("sales"), Some(id), None, None) => Self::Sale(id),
            (Some("orders"), Some(id), None, None) => Self::Order(id),
            (Some("orders"), Some(id), Some("cancel"), None) => Self::OrderCancel(id),
            (Some("holds"), Some(id), None, None) => Self::Hold(id),
            (Some("holds"), Some(id), Some("extend"), None) => Self::HoldExtend(id),
            (Some("holds"), Some(id), Some("confirm"), None) => Self::HoldConfirm(id),
            _ => Self::Unknown,
        }
    }

    /// Its pattern, as a label of metrics.
    pub(super) fn pattern(&self) -> &'static str {
        match self {
            Self::Products => "/v1/products",
            Self::Product(_) => "/v1/products/{id}",
            Self::Stock(_) => "/v1/products/{id}/stock",
            Self::Adjustments(_) => "/v1/products/{id}/adjustments",
            Self::History(_) => "/v1/products/{id}/history",
            Self::Sales => "/v1/sales",
            Self::Sale(_) => "/v1/sales/{id}",
            Self::Purchases => "/v1/purchases",
            Self::Orders => "/v1/orders",
            Self::Order(_) => "/v1/orders/{id}",
            Self::OrderCancel(_) => "/v1/orders/{id}/cancel",
            Self::Holds => "/v1/holds",
            Self::Hold(_) => "/v1/holds/{id}",
            Self::HoldExtend(_) => "/v1/holds/{id}/extend",
            Self::HoldConfirm(_) => "/v1/holds/{id}/confirm",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Metrics => "/metrics",
            Self::Unknown => "unknown",
        }
    }

    /// Its methods, as the `Allow` header names them.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Products | Self::Orders => "GET, HEAD, POST",
            Self::Product(_) => "GET, HEAD, PATCH",
            Self::Sales => "GET, HEAD, PATCH",
            Self::Sale(_) => "PATCH",
            Self::Hold(_) => "GET, HEAD, DELETE",
            Self::OrderCancel(_)
            | Self::Holds
            | Self::HoldExtend(_)
            | Self::HoldConfirm(_)
            | Self::Adjustments(_)
            | Self::Purchases => "POST",
            _ => "GET, HEAD",
        }
    }
}

/// Undoes percent-encoding; `None` for what is not text after it.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A method as a label of metrics: bounded, whatever clients send.
pub(super) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, route) in [
            ("/v1/purchases", Route::Purchases),
            ("/v1/products", Route::Products),
            ("/v1/products/a", Route::Product("a".into())),
            ("/v1/products/a%3Ab%2fc", Route::Product("a:b/c".into())),
            ("/v1/products/a/stock", Route::Stock("a".into())),
            ("/v1/products/a/adjustments", Route::Adjustments("a".into())),
            ("/v1/sales/s", Route::Sale("s".into())),
            ("/v1/products/a/history", Route::History("a".into())),
            ("/v1/sales", Route::Sales),
            ("/v1/orders", Route::Orders),
            ("/v1/orders/o1", Route::Order("o1".into())),
            ("/v1/orders/o1/cancel", Route::OrderCancel("o1".into())),
            ("/v1/holds", Route::Holds),
            ("/v1/holds/h1", Route::Hold("h1".into())),
            ("/v1/holds/h1/extend", Route::HoldExtend("h1".into())),
            ("/v1/holds/h1/confirm", Route::HoldConfirm("h1".into())),
            ("/v1/holds/h1/release", Route::Unknown),
            ("/health", Route::Livez),
            ("/ready", Route::Readyz),
            ("/v1/purchases/", Route::Unknown),
            ("/v1/products/", Route::Unknown),
            ("/v1/products/%zz", Route::Unknown),
            ("/v1/products/%f", Route::Unknown),
            ("/v1/products/%ff", Route::Unknown),
            ("/v1/products/a/stock/", Route::Unknown),
            ("/v2/products", Route::Unknown),
            ("/", Route::Unknown),
            ("*", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
