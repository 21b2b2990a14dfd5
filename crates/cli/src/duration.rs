//! The grammar of durations on the command line: humantime's, and `mo` for months (spec/cli.md §4.3).

use std::time::Duration;

/// Reads `1h 30m`, `500ms`, `7d`, `1mo`, …; a number without a unit is only fine when it is `0`.
pub(crate) fn parse(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(&with_known_months(text))
}

/// The same length in words that every reader of the grammar knows, for the wire.
pub(crate) fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Writes the unit `mo`, which documentation promises and humantime does not know, as `month`.
fn with_known_months(text: &str) -> String {
    let mut known = String::with_capacity(text.len());
    let mut unit = String::new();
    for character in text.chars().map(Some).chain([None]) {
        match character {
            Some(letter) if letter.is_alphabetic() => unit.push(letter),
            other => {
                known.push_str(if unit == "mo" { "month" } else { &unit });
                unit.clear();
                known.extend(other);
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar() {
        let month = Duration::from_secs(2_630_016);
        for (text, expected) in [
            ("1s", Some(Duration::from_secs(1))),
            ("10ms", Some(Duration::from_millis(10))),
            ("1h 30m", Some(Duration::from_secs(5400))),
            ("1mo", Some(month)),
            ("2mo 1s", Some(month * 2 + Duration::from_secs(1))),
            ("1M", Some(month)),
            ("0", Some(Duration::ZERO)),
            ("5", None),
            ("", None),
            ("none", None),
            ("1 moon", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        assert_eq!(format(Duration::from_secs(30 * 86_400)), "30days");
        assert_eq!(parse(&format(month * 3)).ok(), Some(month * 3));
    }
}
