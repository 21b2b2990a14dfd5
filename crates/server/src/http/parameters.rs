//! Query strings: form-decoded into a struct, with the contract's texts for what is wrong (spec/http-api.md §1.7).
//!
//! Unknown keys are ignored, a known key given twice is an error, booleans are exactly `true` or `false`.

use serde::de::DeserializeOwned;

use super::error::Failure;

/// Decodes a query string; none at all counts as empty.
pub(crate) fn decode<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Failure> {
    serde_urlencoded::from_str(query.unwrap_or_default())
        .map_err(|fault| Failure::bad_request(format!("serde error: {fault}")))
}
