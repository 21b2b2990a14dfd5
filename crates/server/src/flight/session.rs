//! Sessions, of which there are none: what drivers ask of one, answered so that they go on (Flight's session actions).
//!
//! A driver that is given a catalog or a schema sets it as an option, and most close their session at the end. Every call stands
//! for itself here, so an option can only be set to what it is anyway. Not here: the database, which is metadata (`headers`).

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;
use query::QueryEngine;
use tonic::Status;

use super::status::invalid;

pub(super) const SET_OPTIONS: &str = "SetSessionOptions";
pub(super) const GET_OPTIONS: &str = "GetSessionOptions";
pub(super) const CLOSE: &str = "CloseSession";

#[derive(Clone, PartialEq, Message)]
struct OptionValue {
    /// Values of other types are of no use to any option there is.
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
}

/// Both the options to set and those that are.
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

#[derive(Clone, PartialEq, Message)]
struct SetResult {
    /// By option; none is success.
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, SetError>,
}

#[derive(Clone, PartialEq, Message)]
struct SetError {
    #[prost(int32, tag = "1")]
    value: i32,
}

const INVALID_NAME: i32 = 1;
const INVALID_VALUE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct CloseResult {
    #[prost(int32, tag = "1")]
    status: i32,
}

const CLOSED: i32 = 1;

/// What the options are, whoever asks.
const OPTIONS: [(&str, &str); 2] = [
    ("catalog", QueryEngine::CATALOG),
    ("schema", QueryEngine::DEFAULT_SCHEMA),
];

/// Says of each option whether it could be set.
pub(super) fn set_options(body: &Bytes) -> Result<Bytes, Status> {
    let asked = Options::decode(body.clone())
        .map_err(|fault| invalid(format!("Unable to decode action: {fault}")))?;
    let mut errors = HashMap::new();
    for (name, value) in asked.options {
        let value = match OPTIONS.iter().find(|(known, _)| *known == name) {
            None => INVALID_NAME,
            // Empty is back to what it is at first.
            Some((_, only)) => match value.text.as_deref() {
                None | Some("") => continue,
                Some(text) if text == *only => continue,
                Some(_) => INVALID_VALUE,
            },
        };
        errors.insert(name, SetError { value });
    }
    Ok(SetResult { errors }.encode_to_vec().into())
}

pub(super) fn options() -> Bytes {
    let options = OPTIONS.map(|(name, value)| {
        let value = OptionValue {
            text: Some(value.to_string()),
        };
        (name.to_string(), value)
    });
    let options = HashMap::from(options);
    Options { options }.encode_to_vec().into()
}

pub(super) fn closed() -> Bytes {
    CloseResult { status: CLOSED }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(options: &[(&str, Option<&str>)]) -> Vec<(String, i32)> {
        let options = options.iter().map(|(name, text)| {
            let text = text.map(str::to_string);
            ((*name).to_string(), OptionValue { text })
        });
        let asked = Options {
            options: options.collect(),
        };
        let answer = set_options(&asked.encode_to_vec().into()).expect("decodes");
        let errors = SetResult::decode(answer).expect("our own").errors;
        let mut errors: Vec<(String, i32)> = errors
            .into_iter()
            .map(|(name, error)| (name, error.value))
            .collect();
        errors.sort();
        errors
    }

    #[test]
    fn options_can_be_set_to_what_they_are() {
        assert_eq!(set(&[]), []);
        assert_eq!(
            set(&[("catalog", Some("public")), ("schema", Some("iox"))]),
            []
        );
        assert_eq!(set(&[("catalog", Some("")), ("schema", None)]), []);
        assert_eq!(
            set(&[("catalog", Some("other")), ("speed", Some("high"))]),
            [
                ("catalog".to_string(), INVALID_VALUE),
                ("speed".to_string(), INVALID_NAME)
            ]
        );
        assert!(set_options(&Bytes::from_static(b"\x0a\xff")).is_err());
        let all = Options::decode(options()).expect("our own").options;
        assert_eq!(all["catalog"].text.as_deref(), Some("public"));
        assert_eq!(&closed()[..], [8, 1]);
    }
}
