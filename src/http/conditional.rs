//! Entity tags: `If-None-Match` on reads, `If-Match` on changes of terms.
//!
//! The tag of a product is the version of its terms, that of its stock the version of the product
//! behind an `s`: one can never be taken for the other.

use actix_web::http::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};

use super::problem::Problem;

/// The tag of terms.
pub(super) fn terms_tag(terms_version: u32) -> String {
    format!("\"{terms_version}\"")
}

/// The tag of stock.
pub(super) fn stock_tag(version: u64) -> String {
    format!("\"s{version}\"")
}

/// Whether the client has this already. A header that is no list of tags matches nothing.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|value| {
        value.trim() == "*"
            || value.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
    })
}

/// What `If-Match` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// Any version.
    Any,
    /// One of these versions of the terms; a tag that is none of ours matches nothing.
    Versions(Vec<u32>),
}

/// Reads `If-Match`; without one, any version will do.
///
/// # Errors
/// Not a list of tags in double quotes.
pub(super) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    const FORM: &str = "If-Match must be * or tags in double quotes, such as \"3\"";
    let mut versions = Vec::new();
    let mut asked = false;
    for value in headers.get_all(IF_MATCH) {
        asked = true;
        let value = value.to_str().map_err(|_| Problem::malformed(FORM))?.trim();
        if value == "*" {
            return Ok(IfMatch::Any);
        }
        for tag in value.split(',').map(str::trim) {
            let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
            let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let inner = inner.filter(|inner| !inner.contains('"'));
            let inner = inner.ok_or_else(|| Problem::malformed(FORM))?;
            // Written exactly as we write it; a weak tag never matches here (RFC 9110, 13.1.1).
            let version = inner.parse().ok().filter(|version: &u32| version.to_string() == inner);
            versions.extend(version.filter(|_| !weak));
        }
    }
    Ok(if asked { IfMatch::Versions(versions) } else { IfMatch::Any })
}

/// Refuses an `If-Match` that names a version, for what has none.
///
/// # Errors
/// Any but `*`: to ignore it would change what the client asked to protect.
pub(super) fn no_version_to_match(headers: &HeaderMap, what: &str) -> Result<(), Problem> {
    match if_match(headers)? {
        IfMatch::Any => Ok(()),
        IfMatch::Versions(_) => Err(Problem::malformed(format!(
            "{what} has no ETag that If-Match could name: leave it out, or change each product"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(name: actix_web::http::header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn if_match_reads_tags_and_refuses_what_is_none() {
        let read = |value: &str| if_match(&headers(IF_MATCH, value)).map_err(|p| p.kind.name());
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), IfMatch::Any);
        assert_eq!(read("*"), Ok(IfMatch::Any));
        assert_eq!(read("\"3\""), Ok(IfMatch::Versions(vec![3])));
        assert_eq!(read("\"3\", \"4\""), Ok(IfMatch::Versions(vec![3, 4])));
        for nothing in ["W/\"3\"", "\"s3\"", "\"03\"", "\"\"", "\"99999999999\""] {
            assert_eq!(read(nothing), Ok(IfMatch::Versions(vec![])), "{nothing}");
        }
        for wrong in ["3", "\"3", "\"3\",", "", "\"3\" \"4\""] {
            assert_eq!(read(wrong), Err("malformed"), "{wrong}");
        }
    }

    #[test]
    fn known_tags_match_weakly() {
        for known in ["\"s7\"", "W/\"s7\"", "\"s6\", \"s7\"", "*"] {
            assert!(is_known(&headers(IF_NONE_MATCH, known), "\"s7\""), "{known}");
        }
        for other in ["\"7\"", "s7", "\"s77\"", ""] {
            assert!(!is_known(&headers(IF_NONE_MATCH, other), "\"s7\""), "{other}");
        }
    }
}
