//! Which format a request wants: its `format` parameter, else its `Accept` header (spec/query-sql.md §1.1).

use hyper::header::{ACCEPT, HeaderMap};

use super::Format;
use crate::http::error::Failure;

/// The format asked for. `Accept` is not even looked at when `format` is given.
pub(crate) fn choose(format: Option<Format>, headers: &HeaderMap) -> Result<Format, Failure> {
    if let Some(format) = format {
        return Ok(format);
    }
    let mut accepted = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let text = String::from_utf8_lossy(value.as_bytes());
        accepted.push(text.into_owned());
    }
    let accepted = accepted.join(", ");
    preferred(&accepted)
        .ok_or_else(|| Failure::bad_request(format!("invalid mime type ({accepted})")))
}

/// The formats from the one to give to whoever takes anything on.
const FORMATS: [Format; 5] = [
    Format::Json,
    Format::JsonLines,
    Format::Csv,
    Format::Pretty,
    Format::Parquet,
];

/// The best of an `Accept` list: highest weight first, then as listed. Nothing accepted in particular means json.
fn preferred(accepted: &str) -> Option<Format> {
    if accepted.trim().is_empty() {
        return Some(Format::Json);
    }
    let ranges = weighted(accepted);
    // What is refused by name is not meant by a range that comes beside it.
    let refused: Vec<Format> = ranges
        .iter()
        .filter(|(_, weight)| *weight == 0.0)
        .map(|(name, _)| formats_of(name))
        .filter(|formats| formats.len() == 1)
        .flatten()
        .collect();
    let mut best: Option<(f32, Format)> = None;
    for (name, weight) in &ranges {
        let mut formats = formats_of(name).into_iter();
        let Some(format) = formats.find(|format| !refused.contains(format)) else {
            continue;
        };
        if *weight > 0.0 && best.is_none_or(|(highest, _)| *weight > highest) {
            best = Some((*weight, format));
        }
    }
    best.map(|(_, format)| format)
}

/// The items of a list such as `a, b;q=0.5`, in small letters, and the weight of each: 1 where none or a damaged one is given.
pub(super) fn weighted(list: &str) -> Vec<(String, f32)> {
    list.split(',')
        .map(|item| {
            let mut parts = item.split(';');
            let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(quality).unwrap_or(1.0);
            (name, weight)
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// The value of a `q` parameter.
fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let weight = value.trim().parse().ok();
    let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
    name.trim()
        .eq_ignore_ascii_case("q")
        .then(|| weight.unwrap_or(1.0))
}

/// The formats that a media type or a range of them means, the best first.
fn formats_of(media_type: &str) -> Vec<Format> {
    let wanted = |format: &Format| -> bool {
        match media_type {
            // Browsers ask for pages first, and get the default.
            "*/*" | "text/html" => true,
            "application/*" => format.content_type().starts_with("application/"),
            "text/*" => *format == Format::Pretty || *format == Format::Csv,
            "application/json" => *format == Format::Json,
            "application/jsonl" | "application/x-ndjson" | "application/ndjson" => {
                *format == Format::JsonLines
            }
            "text/csv" => *format == Format::Csv,
            "text/plain" => *format == Format::Pretty,
            "application/vnd.apache.parquet" => *format == Format::Parquet,
            _ => false,
        }
    };
    let mut formats: Vec<Format> = FORMATS.into_iter().filter(wanted).collect();
    if media_type == "text/*" {
        formats.reverse();
    }
    formats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_lists() {
        let cases = [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("application/json", Some(Format::Json)),
            ("Application/JSON; charset=utf-8", Some(Format::Json)),
            ("text/csv", Some(Format::Csv)),
            ("text/plain", Some(Format::Pretty)),
            ("application/jsonl", Some(Format::JsonLines)),
            ("application/vnd.apache.parquet", Some(Format::Parquet)),
            ("application/json, text/plain, */*", Some(Format::Json)),
            (
                "application/vnd.apache.arrow.stream, text/csv;q=0.5",
                Some(Format::Csv),
            ),
            (
                "text/csv;q=0.5, application/jsonl;q=0.9",
                Some(Format::JsonLines),
            ),
            ("text/csv;q=0, application/json;q=0.1", Some(Format::Json)),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Some(Format::Json),
            ),
            ("application/json;q=0, */*", Some(Format::JsonLines)),
            ("text/plain;q=0, text/*", Some(Format::Csv)),
            ("text/*", Some(Format::Pretty)),
            ("application/x-ndjson", Some(Format::JsonLines)),
            ("text/csv;q=nan, application/json;q=0.9", Some(Format::Csv)),
            (
                "text/csv; header=present; Q=0.2, */*; q=0.1",
                Some(Format::Csv),
            ),
            (", ,", None),
            ("text/csv;q=0", None),
            ("image/png", None),
            ("application/xml, image/png", None),
        ];
        for (accepted, expected) in cases {
            assert_eq!(preferred(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn a_format_parameter_overrules_any_accept() {
        let request = hyper::Request::get("/")
            .header("accept", "image/png")
            .body(())
            .expect("a request");
        let chosen = choose(Some(Format::Csv), request.headers());
        assert_eq!(chosen.ok(), Some(Format::Csv));
        let refused = choose(None, request.headers())
            .map_err(|failure| (failure.status().as_u16(), failure.reason().to_string()));
        assert_eq!(
            refused,
            Err((400, "invalid mime type (image/png)".to_string()))
        );
    }
}
