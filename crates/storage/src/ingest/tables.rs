//! Which tables a request would write to, found without writing: for who may write to some tables of a database only.
//!
//! Not here: what else the lines say, and whether they are any good (`rows`).

use std::collections::BTreeSet;

use line_protocol::{Parser, Series};

/// The tables of all lines of `text` that could be written. A line that names no table is rejected whoever writes it.
pub fn tables_named(text: &str) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    let mut fields = Vec::new();
    let mut parser = Parser::new(text);
    while let Some(line) = parser.next_line(&mut fields) {
        let Ok(line) = line else { continue };
        let Ok(series) = Series::parse(&line) else {
            continue;
        };
        let table = series.measurement.unescape();
        if !tables.contains(table.as_ref()) {
            tables.insert(table.into_owned());
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_named_once_and_without_escapes() {
        let text = "a,t=1 f=1\n# b f=1\na f=2 10\nbad\nc\\ d,t=1 f=\"x\ny f=1\"\n,t=1 f=1\ne f=1i";
        let named: Vec<_> = tables_named(text).into_iter().collect();
        assert_eq!(named, ["a", "c d", "e"]);
    }
}
