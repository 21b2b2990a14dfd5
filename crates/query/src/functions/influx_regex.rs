//! `influx_regex_match(text, pattern)` and `influx_regex_not_match`: patterns as Go reads them (spec/query-sql.md §6).
//!
//! The dialect of older clients differs from ours in small ways, which [`translated`] levels: classes such as `\d` mean ASCII, `\Q…\E`
//! quotes, a bracket within brackets and a brace that repeats nothing are themselves. A null gives null.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use crate::Error;
use crate::error::to_datafusion;

/// One of the two functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InfluxRegex {
    /// The answer for a text that matches.
    wanted: bool,
    signature: Signature,
}

impl InfluxRegex {
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn matched(&self, texts: &StringArray, patterns: &ColumnarValue) -> Result<BooleanArray> {
        let mut compiled = HashMap::new();
        let answers: BooleanArray = match patterns {
            ColumnarValue::Scalar(pattern) => {
                let Some(Some(pattern)) = pattern.try_as_str() else {
                    return Ok(BooleanArray::new_null(texts.len()));
                };
                let pattern = compile(pattern)?;
                texts
                    .iter()
                    .map(|text| text.map(|text| pattern.is_match(text) == self.wanted))
                    .collect()
            }
            ColumnarValue::Array(patterns) => {
                let Some(patterns) = patterns.as_string_opt::<i32>() else {
                    return internal_err!("patterns are {}", patterns.data_type());
                };
                let mut answers = Vec::with_capacity(texts.len());
                for (text, pattern) in texts.iter().zip(patterns) {
                    let Some((text, pattern)) = text.zip(pattern) else {
                        answers.push(None);
                        continue;
                    };
                    if !compiled.contains_key(pattern) {
                        compiled.insert(pattern, compile(pattern)?);
                    }
                    let matches = compiled.get(pattern).is_some_and(|one| one.is_match(text));
                    answers.push(Some(matches == self.wanted));
                }
                answers.into()
            }
        };
        Ok(answers)
    }
}

impl ScalarUDFImpl for InfluxRegex {
    fn name(&self) -> &'static str {
        if self.wanted {
            "influx_regex_match"
        } else {
            "influx_regex_not_match"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [text, pattern] = arguments else {
            return plan_err!(
                "{} takes a text and a pattern, got {} arguments",
                self.name(),
                arguments.len()
            );
        };
        // Tags are asked once per value.
        let tag = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        if *text == tag {
            return Ok(vec![tag, DataType::Utf8]);
        }
        for kind in [text, pattern] {
            let is_text = match kind {
                DataType::Dictionary(_, kind) => kind.is_string(),
                kind => kind.is_string() || kind.is_null(),
            };
            if !is_text {
                return plan_err!("{} takes texts, got {kind}", self.name());
            }
        }
        Ok(vec![DataType::Utf8, DataType::Utf8])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, patterns] = call.args.as_slice() else {
            return internal_err!("{} got {} arguments", self.name(), call.args.len());
        };
        let rows = match (texts, patterns) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => 1,
            _ => call.number_rows,
        };
        let texts = texts.to_array(rows)?;
        let answers: ArrayRef = match (texts.as_dictionary_opt::<Int32Type>(), patterns) {
            (Some(tags), ColumnarValue::Scalar(_)) => {
                let answers = self.matched(tags.values().as_string::<i32>(), patterns)?;
                take(&answers, tags.keys(), None)?
            }
            (Some(tags), ColumnarValue::Array(_)) => {
                let texts = take(tags.values(), tags.keys(), None)?;
                Arc::new(self.matched(texts.as_string::<i32>(), patterns)?)
            }
            (None, _) => Arc::new(self.matched(texts.as_string::<i32>(), patterns)?),
        };
        let is_scalar = call
            .args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if is_scalar {
            let answer = datafusion::common::ScalarValue::try_from_array(&answers, 0)?;
            return Ok(ColumnarValue::Scalar(answer));
        }
        Ok(ColumnarValue::Array(answers))
    }
}

fn compile(pattern: &str) -> Result<Regex> {
    Regex::new(&translated(pattern)).map_err(|fault| {
        // The fault draws the pattern over several lines; its last says what is wrong.
        let fault = fault.to_string();
        let what = fault.lines().last().unwrap_or_default();
        let what = what.strip_prefix("error: ").unwrap_or(what);
        to_datafusion(Error::invalid(format!(
            "invalid regular expression '{pattern}': {what}"
        )))
    })
}

/// A pattern of Go's in the words of ours.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match (next, in_class) {
            ('\\', _) => escape(after, in_class, &mut out),
            ('[', true) => {
                // A named class such as [:alpha:] stays.
                let is_named = after.starts_with(':') && after.contains(":]");
                out.push_str(if is_named { "[" } else { "\\[" });
                match (is_named, after.find(":]")) {
                    (true, Some(end)) => {
                        out.push_str(&after[..end + 2]);
                        &after[end + 2..]
                    }
                    _ => after,
                }
            }
            ('[', false) => {
                in_class = true;
                out.push('[');
                let mut inner = after;
                if let Some(negated) = inner.strip_prefix('^') {
                    out.push('^');
                    inner = negated;
                }
                // A bracket that comes first is one of the characters.
                if let Some(closing) = inner.strip_prefix(']') {
                    out.push_str("\\]");
                    inner = closing;
                }
                inner
            }
            (']', true) => {
                in_class = false;
                out.push(']');
                after
            }
            ('&' | '~', true) => {
                out.push('\\');
                out.push(next);
                after
            }
            ('-', true) if after.starts_with('-') => {
                // Two of them are a range from the first or up to the second.
                let begins = out.ends_with('[') || out.ends_with("[^");
                out.push_str(if begins { "\\--" } else { "-\\-" });
                &after[1..]
            }
            ('{', false) if !repeats(after) => {
                out.push_str("\\{");
                after
            }
            _ => {
                out.push(next);
                after
            }
        };
    }
    out
}

/// Translates what follows a backslash and gives what is left.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(escaped) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[escaped.len_utf8()..];
    let class = match escaped {
        'd' => Some(("0-9", false)),
        'D' => Some(("0-9", true)),
        'w' => Some(("0-9A-Za-z_", false)),
        'W' => Some(("0-9A-Za-z_", true)),
        's' => Some(("\\t\\n\\x0C\\r ", false)),
        'S' => Some(("\\t\\n\\x0C\\r ", true)),
        _ => None,
    };
    match (escaped, class) {
        (_, Some((characters, negated))) => {
            if in_class && !negated {
                out.push_str(characters);
            } else {
                let sign = if negated { "^" } else { "" };
                out.push_str(&format!("[{sign}{characters}]"));
            }
            rest
        }
        ('Q', None) => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            rest
        }
        // A class of Unicode, or a character by its number.
        ('p' | 'P' | 'x', None) if rest.starts_with('{') => {
            let (name, rest) = rest.split_at(rest.find('}').map_or(rest.len(), |end| end + 1));
            out.push('\\');
            out.push(escaped);
            out.push_str(name);
            rest
        }
        ('b', None) if !in_class => {
            out.push_str("(?-u:\\b)");
            rest
        }
        ('<' | '>' | '/' | '"' | '\'' | '%' | '@' | '!' | ',' | ';' | ':' | '=' | '`', None) => {
            out.push(escaped);
            rest
        }
        _ => {
            out.push('\\');
            out.push(escaped);
            rest
        }
    }
}

/// Whether what follows a brace makes it a repetition: `n}`, `n,}` or `n,m}`.
fn repeats(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let cases = [
            (r"^web-\d+$", "web-12", true),
            (r"^web-\d+$", "web-\u{0661}", false),
            (r"^\w+$", "ab_1", true),
            (r"^\w+$", "äb", false),
            (r"^\W$", "ä", true),
            (r"^[\w.]+$", "a.b", true),
            (r"^[^\W]+$", "ab", true),
            (r"^[\D]$", "x", true),
            (r"a\sb", "a\tb", true),
            (r"a\sb", "a\u{0b}b", false),
            (r"\bcpu\b", "a cpu b", true),
            (r"us\/west", "us/west", true),
            (r"a\-b", "a-b", true),
            (r"\<b\>", "<b>", true),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b\E", "axb", false),
            (r"[a[b]", "[", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]+$", "bc", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[+--]$", ",", true),
            (r"^[--/]$", ".", true),
            (r"a{", "a{", true),
            (r"^a{2}$", "aa", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^a{1,}$", "aaa", true),
            (r"(?i)CPU", "cpu", true),
            (r"^(?P<x>a|b)$", "b", true),
            ("", "anything", true),
            (r"^\p{Greek}$", "λ", true),
            (r"^[\p{Greek}x]+$", "λx", true),
            (r"^\x{61}\x62$", "ab", true),
        ];
        for (pattern, text, expected) in cases {
            let compiled = compile(pattern).map_err(|fault| fault.to_string());
            let compiled = compiled.unwrap_or_else(|fault| panic!("{pattern}: {fault}"));
            assert_eq!(compiled.is_match(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in ["(", "a**b(", r"\", "[a", r"(?=a)", r"(a)\1"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
