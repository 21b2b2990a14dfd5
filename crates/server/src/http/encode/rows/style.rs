//! What tells one text format from another: how cells begin, how values look, what becomes of nulls.

use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;

use super::text::Text;

/// A text format.
pub(super) trait Style {
    /// Whether a null takes the place of its cell, without a value.
    const SHOWS_NULLS: bool;

    /// Whether timestamps stand in quotes.
    const QUOTES_TIMESTAMPS: bool;

    /// Whether the first cell of a row that shows anything is changed when the row ends, so that a copy of it has to begin like
    /// any other.
    const CHANGES_FIRST_CELL: bool;

    /// Arrow's own writer for values of one column.
    type Rare<'a>;

    /// What every cell of a column begins with.
    fn key(name: &str, column: usize) -> Vec<u8>;

    fn push_string(value: &str, text: &mut Text);

    /// A null among the values of a dictionary.
    fn push_null_of_dictionary(text: &mut Text);

    fn push_float(value: f64, text: &mut Text);

    /// Errors: a type that this format cannot show.
    fn rare<'a>(field: &'a FieldRef, array: &'a ArrayRef) -> Result<Self::Rare<'a>, ArrowError>;

    /// Whether a row has no cell for this column.
    fn leaves_out(rare: &Self::Rare<'_>, row: usize) -> bool;

    /// Writes one value with arrow's writer.
    fn push_rare(rare: &mut Self::Rare<'_>, row: usize, text: &mut Text) -> Result<(), ArrowError>;
}
