//! The groups found so far: a number for each run of a batch, and the values to print beside each number.
//!
//! With a tag among the group expressions a new run is a new group, unless it goes on from the batch before: equal groups
//! elsewhere are left to the final stage. Without one, runs of all series share few groups, so each run is looked up.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, UInt32Array,
};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// About what an array takes besides its values.
const ARRAY_BYTES: usize = 256;

/// See the module.
pub(super) enum Groups {
    Adjacent(Adjacent),
    Interned(Box<dyn GroupValues>),
}

/// Groups in the order of their runs.
#[derive(Default)]
pub(super) struct Adjacent {
    /// Each holds one array per group expression; together all groups.
    pieces: Vec<Vec<ArrayRef>>,
    len: usize,
    bytes: usize,
}

impl Groups {
    pub(super) fn adjacent() -> Self {
        Self::Adjacent(Adjacent::default())
    }

    /// `schema` has one field per group expression.
    pub(super) fn interned(schema: SchemaRef) -> Result<Self> {
        Ok(Self::Interned(new_group_values(
            schema,
            &GroupOrdering::None,
        )?))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Adjacent(groups) => groups.len,
            Self::Interned(groups) => groups.len(),
        }
    }

    /// Memory in use, without what batches share.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Adjacent(groups) => groups.bytes,
            Self::Interned(groups) => groups.size(),
        }
    }

    /// Gives every run its group; `values` has one array per group expression with one value per run.
    pub(super) fn add(&mut self, values: Vec<ArrayRef>, numbers: &mut Vec<usize>) -> Result<()> {
        match self {
            Self::Adjacent(groups) => groups.add(values, numbers),
            Self::Interned(groups) => groups.intern(&values, numbers),
        }
    }

    /// The values of all groups, one array per group expression; none are left.
    pub(super) fn take(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Adjacent(groups) => groups.take(),
            Self::Interned(groups) => {
                let values = groups.emit(EmitTo::All)?;
                groups.clear_shrink(0);
                Ok(values)
            }
        }
    }
}

impl Adjacent {
    fn add(&mut self, values: Vec<ArrayRef>, numbers: &mut Vec<usize>) -> Result<()> {
        let runs = values.first().map_or(0, |column| column.len());
        let known = usize::from(self.goes_on(&values)?);
        numbers.clear();
        numbers.extend((0..runs).map(|run| self.len - known + run));
        self.len += runs - known;
        if runs == known {
            return Ok(());
        }
        let new: Vec<ArrayRef> = values
            .iter()
            .map(|column| column.slice(known, runs - known))
            .collect();
        self.bytes += new.iter().map(bytes).sum::<usize>();
        self.pieces.push(new);
        Ok(())
    }

    /// Whether the first of these values are those of the last group.
    fn goes_on(&self, values: &[ArrayRef]) -> Result<bool> {
        let Some(last) = self.pieces.last() else {
            return Ok(false);
        };
        for (old, new) in last.iter().zip(values) {
            let old = old.slice(old.len() - 1, 1);
            if distinct(&old, &new.slice(0, 1))?.value(0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let pieces = std::mem::take(&mut self.pieces);
        self.len = 0;
        self.bytes = 0;
        let columns = pieces.first().map_or(0, Vec::len);
        (0..columns)
            .map(|column| {
                let parts: Vec<&dyn Array> =
                    pieces.iter().map(|piece| piece[column].as_ref()).collect();
                compacted(concat(&parts)?)
            })
            .collect()
    }
}

/// The array without most values of its dictionary that no row names: later stages look at all of them for every batch.
fn compacted(array: ArrayRef) -> Result<ArrayRef> {
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
        return Ok(array);
    };
    if dictionary.values().len() <= 2 * dictionary.len() {
        return Ok(array);
    }
    let keys = dictionary.keys();
    let mut used: Vec<u32> = keys.iter().flatten().map(|key| key as u32).collect();
    used.sort_unstable();
    used.dedup();
    let place = |key: i32| used.binary_search(&(key as u32)).unwrap_or_default() as i32;
    let keys: Int32Array = keys.iter().map(|key| key.map(place)).collect();
    let values = take(dictionary.values(), &UInt32Array::from(used), None)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// Memory of an array, without a dictionary's values, which batches share.
fn bytes(array: &ArrayRef) -> usize {
    ARRAY_BYTES
        + match array.as_any_dictionary_opt() {
            Some(dictionary) => dictionary.keys().len() * size_of::<i32>(),
            None => array.get_array_memory_size(),
        }
}
