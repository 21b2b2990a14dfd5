//! Lists `key=value,key=value` on the command line: split at the first `=`; a value has no comma (spec/cli.md §4.3).

use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// One pair of the list.
pub(crate) fn parse(text: &str) -> Result<KeyValue, &'static str> {
    match text.split_once('=') {
        Some((key, value)) => Ok(KeyValue {
            key: key.to_string(),
            value: value.to_string(),
        }),
        None => Err("must be formatted as \"key=value\""),
    }
}

/// The pairs as a JSON object of texts; of two with the same key the last counts.
pub(crate) fn object(pairs: &[KeyValue]) -> Map<String, Value> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.clone(), Value::String(pair.value.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sign_of_equality_counts() {
        let pair = parse("a=b=c").expect("a pair");
        assert_eq!(pair.key, "a");
        assert_eq!(object(&[pair])["a"], "b=c");
        parse("a").expect_err("no value");
    }
}
