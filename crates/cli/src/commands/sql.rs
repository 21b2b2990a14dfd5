//! Names and texts as SQL takes them, whatever stands in them.

/// A name of a table or column.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(identifier("a\" b"), "\"a\"\" b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }
}
