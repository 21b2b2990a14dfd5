//! Tables of Markdown, and numbers in them with as many digits as a reader needs.

use std::fmt;

/// A table. Columns of numbers stand to the right.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<S: Into<String>>(heads: impl IntoIterator<Item = S>) -> Self {
        Self {
            heads: heads.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        formatter.write_str(&line(&self.heads))?;
        let is_number = |cell: &String| {
            let digits = cell.trim_start_matches(['-', '*', '–']);
            digits
                .chars()
                .all(|c| c.is_ascii_digit() || " .*".contains(c))
        };
        let rules: Vec<&str> = (0..self.heads.len())
            .map(|column| {
                let mut cells = self.rows.iter().filter_map(|row| row.get(column));
                if cells.all(is_number) { "---:" } else { "---" }
            })
            .collect();
        writeln!(formatter, "|{}|", rules.join("|"))?;
        for row in &self.rows {
            formatter.write_str(&line(row))?;
        }
        Ok(())
    }
}

/// Three significant digits, and no more than that; `–` if there is no number.
pub(crate) fn number(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return "–".to_owned();
    };
    let size = value.abs();
    let digits = match size {
        0.0 => 0,
        _ => (2 - size.log10().floor() as i32).clamp(0, 4),
    };
    let digits = usize::try_from(digits).unwrap_or(0);
    let text = format!("{value:.digits$}");
    let Some((whole, rest)) = text.split_once('.') else {
        return grouped(&text);
    };
    format!("{}.{rest}", grouped(whole))
}

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    let length = digits.trim_start_matches('-').len();
    let signs = digits.len() - length;
    for (position, digit) in digits.chars().enumerate() {
        if position > signs && (digits.len() - position).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Table, number};

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (value, text) in [
            (0.0, "0"),
            (0.3104, "0.310"),
            (0.004_56, "0.0046"),
            (3.456, "3.46"),
            (34.56, "34.6"),
            (345.6, "346"),
            (8_640_000.0, "8 640 000"),
            (-1_234.0, "-1 234"),
        ] {
            assert_eq!(number(Some(value)), text);
        }
        assert_eq!(number(None), "–");
        assert_eq!(number(Some(f64::NAN)), "–");
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new(["what", "ms"]);
        assert!(table.is_empty());
        table.row(["lastpoint".to_owned(), number(Some(6.4))]);
        assert_eq!(
            table.to_string(),
            "| what | ms |\n|---|---:|\n| lastpoint | 6.40 |\n"
        );
    }
}
