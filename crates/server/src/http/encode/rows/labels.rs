//! Dictionary columns: the text of a cell is made once for each value that occurs, and kept while the dictionary stays the same.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;

use super::style::Style;
use super::text::{PADDING, Text};

/// A column of dictionary keys, and the cells that they stand for.
pub(super) struct Labels {
    keys: ScalarBuffer<i32>,
    nulls: Option<NullBuffer>,
    values: StringArray,
    /// Where in `cells` the whole cell of each value stands, once it is there.
    places: Vec<Option<Place>>,
    /// Ends with padding.
    cells: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

impl Labels {
    /// A column whose dictionary has strings; `None` for others.
    pub(super) fn load(array: &ArrayRef, before: Option<Self>) -> Option<Self> {
        let array = array.as_dictionary_opt::<Int32Type>()?;
        let values = array.values().as_string_opt::<i32>()?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let (places, cells) = match before {
            Some(before) if is_same(&before.values, values) => (before.places, before.cells),
            _ => (vec![None; values.len()], PADDING.to_vec()),
        };
        Some(Self {
            keys: array.keys().values().clone(),
            nulls: nulls.cloned(),
            values: values.clone(),
            places,
            cells,
        })
    }

    /// Writes the cell of `row`, whose cells begin with `key`.
    #[inline]
    pub(super) fn push<S: Style>(&mut self, row: usize, key: &[u8], text: &mut Text) {
        if let Some(nulls) = &self.nulls
            && nulls.is_null(row)
        {
            if S::SHOWS_NULLS {
                text.push(key);
            }
            return;
        }
        // A key that is not null is the place of a value.
        let value = self.keys[row] as usize;
        let place = match self.places[value] {
            Some(place) => place,
            None => self.make::<S>(value, key),
        };
        text.push_padded(&self.cells, place.start..place.end);
    }

    #[cold]
    fn make<S: Style>(&mut self, value: usize, key: &[u8]) -> Place {
        let mut cell = Text::default();
        cell.push(key);
        if self.values.is_null(value) {
            S::push_null_of_dictionary(&mut cell);
        } else {
            S::push_string(self.values.value(value), &mut cell);
        }
        let start = self.cells.len() - PADDING.len();
        self.cells.truncate(start);
        self.cells.extend_from_slice(cell.bytes());
        let place = Place {
            start,
            end: self.cells.len(),
        };
        self.cells.extend_from_slice(&PADDING);
        self.places[value] = Some(place);
        place
    }

    /// Leaves `same[row]` true only where `row` has the value of the row before it.
    pub(super) fn compare_with_row_before(&self, same: &mut [bool]) {
        let pairs = same.iter_mut().skip(1).zip(self.keys.windows(2));
        match &self.nulls {
            None => {
                for (same, keys) in pairs {
                    *same &= keys[0] == keys[1];
                }
            }
            Some(nulls) => {
                for (row, (same, keys)) in pairs.enumerate() {
                    let (before, now) = (nulls.is_null(row), nulls.is_null(row + 1));
                    *same &= before == now && (now || keys[0] == keys[1]);
                }
            }
        }
    }
}

/// Whether these are the same bytes in memory, not merely the same strings.
fn is_same(left: &StringArray, right: &StringArray) -> bool {
    left.to_data().ptr_eq(&right.to_data())
}
