//! Tables as the server draws them, made to fit a terminal: long cells are cut, and rows with too many columns stand below each other.
//!
//! The rule above the names (`+----+---+`) says where columns are. Text that is no such table stays as it is. Not here: when to do it (`output`).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns are not cut below this, if they were wider.
const CELL_WIDTH_MIN: usize = 8;
/// What stands where something was cut off.
const MARK: char = '…';

/// The table in at most `width` columns of the terminal.
pub(crate) fn fit(table: &str, width: usize) -> String {
    match Table::parse(table) {
        Some(parsed) if parsed.width() > width => match parsed.narrowed(width) {
            Some(widths) => parsed.draw(&widths),
            None => parsed.draw_below_each_other(width),
        },
        _ => table.to_string(),
    }
}

#[derive(Debug)]
struct Table {
    widths: Vec<usize>,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let rule = lines.next()?;
        if rule.len() < 3 || !rule.bytes().all(|byte| matches!(byte, b'+' | b'-')) {
            return None;
        }
        let borders: Vec<usize> = rule.match_indices('+').map(|(at, _)| at).collect();
        let widths = borders
            .windows(2)
            .map(|pair| pair[1].checked_sub(pair[0] + 3))
            .collect::<Option<Vec<usize>>>()?;
        if widths.is_empty() {
            return None;
        }
        let names = cells(lines.next()?, &borders)?;
        if lines.next()? != rule {
            return None;
        }
        let mut rows = Vec::new();
        for line in lines {
            if line != rule {
                rows.push(cells(line, &borders)?);
            }
        }
        Some(Self {
            widths,
            names,
            rows,
        })
    }

    fn width(&self) -> usize {
        drawn_width(&self.widths)
    }

    /// Widths with which it fits, the widest columns being cut first; `None` when too little would be left of them.
    fn narrowed(&self, width: usize) -> Option<Vec<usize>> {
        let cut_to = |limit: usize| -> Vec<usize> {
            self.widths.iter().map(|&own| own.min(limit)).collect()
        };
        if drawn_width(&cut_to(CELL_WIDTH_MIN)) > width {
            return None;
        }
        // The largest limit that fits.
        let mut limit = self.widths.iter().copied().max().unwrap_or(0);
        while drawn_width(&cut_to(limit)) > width {
            limit -= 1;
        }
        let mut widths = cut_to(limit);
        // What is left over goes to the first that want it.
        let mut left = width - drawn_width(&widths);
        for (cut, &own) in widths.iter_mut().zip(&self.widths) {
            if *cut < own && left > 0 {
                *cut += 1;
                left -= 1;
            }
        }
        Some(widths)
    }

    fn draw(&self, widths: &[usize]) -> String {
        let mut rule = String::from("+");
        for width in widths {
            rule.push_str(&"-".repeat(width + 2));
            rule.push('+');
        }
        let mut lines = vec![rule.clone(), drawn_row(&self.names, widths), rule.clone()];
        lines.extend(self.rows.iter().map(|row| drawn_row(row, widths)));
        if !self.rows.is_empty() {
            lines.push(rule);
        }
        lines.join("\n")
    }

    /// One line for each value.
    fn draw_below_each_other(&self, width: usize) -> String {
        let name_width = self
            .names
            .iter()
            .map(|name| name.width())
            .max()
            .unwrap_or(0);
        let mut lines = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let title = format!("-[ row {} ]", index + 1);
            let dashes = width.saturating_sub(title.len()).min(60);
            lines.push(format!("{title}{}", "-".repeat(dashes)));
            for (name, cell) in self.names.iter().zip(row) {
                lines.push(format!("{} | {cell}", padded(name, name_width)));
            }
        }
        if self.rows.is_empty() {
            lines.push(format!("no rows; columns: {}", self.names.join(", ")));
        }
        lines.join("\n")
    }
}

/// How wide a table with cells of these widths is.
fn drawn_width(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + 3).sum::<usize>() + 1
}

fn drawn_row(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::from("|");
    for (cell, &width) in cells.iter().zip(widths) {
        line.push(' ');
        line.push_str(&padded(&cut(cell, width), width));
        line.push_str(" |");
    }
    line
}

/// The cells of a line whose borders are in these columns; `None` when they are not there.
fn cells(line: &str, borders: &[usize]) -> Option<Vec<String>> {
    let mut found = Vec::with_capacity(borders.len().saturating_sub(1));
    let mut cell = String::new();
    let mut column = 0;
    let mut borders = borders.iter().peekable();
    for character in line.chars() {
        match borders.peek() {
            Some(&&border) if column == border && character == '|' => {
                borders.next();
                if border > 0 {
                    let inner = cell.strip_prefix(' ').unwrap_or(&cell);
                    found.push(inner.trim_end_matches(' ').to_string());
                }
                cell.clear();
            }
            Some(&&border) if column > border => return None,
            None => return None,
            Some(_) => cell.push(character),
        }
        column += character.width().unwrap_or(0);
    }
    borders.next().is_none().then_some(found)
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_string();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in cell.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept.push(MARK);
    kept
}

fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
+------+----------------------+---------------------+
| host | text                 | time                |
+------+----------------------+---------------------+
| a    | quite a long sentence | 1970-01-01T00:00:01 |
+------+----------------------+---------------------+";

    fn table() -> String {
        TABLE.replace("quite a long sentence", "quite a long sentenc")
    }

    #[test]
    fn what_fits_and_what_is_no_table_stays() {
        assert_eq!(fit(&table(), 53), table());
        for text in ["", "++\n++", "text", "+--", "[{\"a\":1}]", TABLE] {
            assert_eq!(fit(text, 5), text);
        }
    }

    #[test]
    fn the_widest_columns_are_cut_first() {
        assert_eq!(
            fit(&table(), 50),
            "\
+------+--------------------+--------------------+
| host | text               | time               |
+------+--------------------+--------------------+
| a    | quite a long sent… | 1970-01-01T00:00:… |
+------+--------------------+--------------------+"
        );
        for width in 30..53 {
            let fitted = fit(&table(), width);
            assert!(fitted.starts_with('+'), "{fitted}");
            assert!(fitted.lines().all(|line| line.width() == width), "{fitted}");
        }
    }

    #[test]
    fn with_too_many_columns_values_stand_below_each_other() {
        assert_eq!(
            fit(&table(), 20),
            "-[ row 1 ]----------\nhost | a\ntext | quite a long sentenc\ntime | 1970-01-01T00:00:01"
        );
        let empty =
            "+------------+------------+\n| first_name | other_name |\n+------------+------------+";
        assert_eq!(fit(empty, 12), "no rows; columns: first_name, other_name");
    }

    #[test]
    fn wide_characters_count_twice() {
        let table = "\
+--------------+---+
| 名           | n |
+--------------+---+
| 東京都千代田 | 1 |
+--------------+---+";
        assert_eq!(
            fit(table, 17),
            "\
+-----------+---+
| 名        | n |
+-----------+---+
| 東京都千… | 1 |
+-----------+---+"
        );
    }
}
