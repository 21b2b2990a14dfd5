//! Durations on the command line: read with the server's own grammar, written so that any reader of it understands.

use std::time::Duration;

pub(crate) use server::duration::parse;

/// The same length in words that every reader of the grammar knows, for the wire.
pub(crate) fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
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
            ("18446744073709551615s 1000000000ns", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
        assert_eq!(format(Duration::from_secs(30 * 86_400)), "30days");
        assert_eq!(parse(&format(month * 3)).ok(), Some(month * 3));
    }
}
