//! Random batches of every type look as arrow's own writers show them, however they are cut into pieces.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, DurationMillisecondArray, DurationNanosecondArray, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, LargeStringArray, ListArray, NullArray, PrimitiveArray, RunArray,
    StringArray, StringViewArray, StructArray, Time32SecondArray, Time64NanosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{
    Field, Int8Type, Int32Type, Int64Type, IntervalMonthDayNano, Schema, UInt64Type,
};
use arrow::json::{ArrayWriter, LineDelimitedWriter};
use runtime::Random;

use super::*;

/// Chance that repeats.
struct Dice(Random);

impl Dice {
    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).expect("a seeded generator");
        u64::from_le_bytes(bytes)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Numbers of all magnitudes, the extremes among them.
    fn integer(&mut self) -> i64 {
        let number = self.number() as i64;
        match self.below(6) {
            0 => number,
            1 => number % 100,
            2 => number % 100_000,
            3 => i64::MIN,
            4 => i64::MAX,
            _ => number >> self.below(64),
        }
    }

    fn float(&mut self) -> f64 {
        let integer = self.integer();
        match self.below(10) {
            0 => f64::from_bits(self.number()),
            1 => f64::NAN,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => (integer % 1_000_000) as f64 / 10_f64.powi(self.below(8) as i32),
            5 => 10_f64.powi(self.below(40) as i32 - 20),
            6 => f64::from_bits(self.number() >> 52),
            7 => (integer % 1_000) as f64,
            8 => self.number() as f64 / u64::MAX as f64,
            _ => integer as f64,
        }
    }

    fn string(&mut self) -> String {
        let length = self.below(80) * self.below(2) + self.below(12);
        let odd = self.below(4) == 0;
        let mut text = String::new();
        for _ in 0..length {
            let code = match odd {
                true => self.below(0x3000) as u32,
                false => self.below(26) as u32 + 97,
            };
            text.extend(char::from_u32(code));
            if odd {
                text.push([',', '"', '\n', '\\', '\r', '\t'][self.below(6)]);
            }
        }
        text
    }

    /// A date that every writer can show.
    fn seconds(&mut self) -> i64 {
        self.integer() % 9_000_000_000
    }

    fn several<T>(&mut self, rows: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<Option<T>> {
        let nulls_in = self.below(4);
        (0..rows)
            .map(|_| {
                let is_null = nulls_in > 0 && self.below(nulls_in * 2) == 0;
                let value = one(self);
                (!is_null).then_some(value)
            })
            .collect()
    }
}

/// A dictionary with nulls in its keys and its values, and runs of one key.
fn labels(dice: &mut Dice, rows: usize) -> ArrayRef {
    let distinct = 1 + dice.below(5);
    let values: StringArray = dice.several(distinct, Dice::string).into_iter().collect();
    let mut key = 0;
    let keys = dice.several(rows, |dice| {
        if dice.below(3) == 0 {
            key = dice.below(distinct) as i32;
        }
        key
    });
    Arc::new(DictionaryArray::<Int32Type>::new(
        keys.into(),
        Arc::new(values),
    ))
}

/// A column of one of the types that csv can show too.
fn column(dice: &mut Dice, rows: usize) -> ArrayRef {
    macro_rules! of {
        ($array:ty, $dice:ident => $value:expr) => {
            Arc::new(
                dice.several(rows, |$dice| $value)
                    .into_iter()
                    .collect::<$array>(),
            )
        };
    }
    match dice.below(38) {
        0 => of!(Int8Array, dice => dice.integer() as i8),
        1 => of!(Int16Array, dice => dice.integer() as i16),
        2 => of!(Int32Array, dice => dice.integer() as i32),
        3 | 4 => of!(Int64Array, dice => dice.integer()),
        5 => of!(UInt8Array, dice => dice.integer() as u8),
        6 => of!(UInt16Array, dice => dice.integer() as u16),
        7 => of!(UInt32Array, dice => dice.integer() as u32),
        8 => of!(UInt64Array, dice => dice.integer() as u64),
        9 => of!(Float32Array, dice => dice.float() as f32),
        10..=12 => of!(Float64Array, dice => dice.float()),
        13 => of!(BooleanArray, dice => dice.below(2) == 0),
        14 | 15 => of!(StringArray, dice => dice.string()),
        16 => of!(LargeStringArray, dice => dice.string()),
        17 => of!(StringViewArray, dice => dice.string()),
        18 => of!(Date32Array, dice => (dice.seconds() / 86_400) as i32),
        19 => of!(Date64Array, dice => dice.seconds() * 1_000),
        20 => of!(Time32SecondArray, dice => dice.below(86_400) as i32),
        21 => of!(Time64NanosecondArray, dice => dice.below(86_400_000_000_000) as i64),
        22 | 23 => of!(TimestampNanosecondArray, dice => dice.integer()),
        24 => of!(TimestampNanosecondArray, dice => dice.seconds() * 1_000_000_000),
        25 => of!(TimestampMicrosecondArray, dice => dice.seconds() * 1_000_000 + 5),
        26 => of!(TimestampMillisecondArray, dice => dice.seconds() * 1_000 + 7),
        27 => of!(TimestampSecondArray, dice => dice.seconds()),
        28 => {
            let times: TimestampNanosecondArray =
                dice.several(rows, Dice::integer).into_iter().collect();
            let zones = ["UTC", "+05:30", "Europe/Paris"];
            Arc::new(times.with_timezone(zones[dice.below(3)]))
        }
        29 => of!(DurationNanosecondArray, dice => dice.integer()),
        30 => of!(DurationMillisecondArray, dice => dice.integer() % 1_000_000_000),
        31 => of!(IntervalMonthDayNanoArray, dice => {
            IntervalMonthDayNano::new(dice.below(30) as i32, dice.below(40) as i32, dice.seconds())
        }),
        32 => {
            let values: Decimal128Array = dice
                .several(rows, |dice| i128::from(dice.integer()))
                .into_iter()
                .collect();
            Arc::new(values.with_precision_and_scale(38, 3).expect("fits"))
        }
        33 => {
            let values: PrimitiveArray<Int8Type> = dice
                .several(rows, |dice| dice.below(2) as i8)
                .into_iter()
                .collect();
            let numbers = Float64Array::from(vec![Some(0.5), None]);
            Arc::new(DictionaryArray::new(values, Arc::new(numbers)))
        }
        34 => {
            let values: PrimitiveArray<UInt64Type> = dice
                .several(rows, |dice| dice.below(2) as u64)
                .into_iter()
                .collect();
            let texts = StringArray::from(vec![Some("a,b"), None]);
            Arc::new(DictionaryArray::new(values, Arc::new(texts)))
        }
        35 => Arc::new(NullArray::new(rows)),
        36 => {
            let values = dice.several(rows, Dice::string);
            let bytes: Vec<Option<&[u8]>> = values
                .iter()
                .map(|value| value.as_ref().map(|value| value.as_bytes()))
                .collect();
            Arc::new(BinaryArray::from(bytes))
        }
        _ => labels(dice, rows),
    }
}

/// A column of a type that only json shows as such.
fn nested(dice: &mut Dice, rows: usize) -> ArrayRef {
    match dice.below(4) {
        0 => {
            let lists = dice.several(rows, |dice| {
                let length = dice.below(4);
                dice.several(length, Dice::integer)
            });
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
        }
        1 => {
            let names = ["x", "time", "\"q\""];
            let fields: Vec<(Arc<Field>, ArrayRef)> = names
                .iter()
                .map(|name| {
                    let column = column(dice, rows);
                    let field = Field::new(*name, column.data_type().clone(), true);
                    (Arc::new(field), column)
                })
                .collect();
            let (fields, columns): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            let nulls = dice.several(rows, |_| ());
            let nulls = nulls.iter().map(Option::is_some).collect::<Vec<bool>>();
            Arc::new(StructArray::new(fields.into(), columns, Some(nulls.into())))
        }
        2 => {
            let runs: RunArray<Int32Type> = dice
                .several(rows, |dice| ["a", "b\""][dice.below(2)])
                .into_iter()
                .collect();
            Arc::new(runs)
        }
        _ => {
            let values = (0..rows).map(|_| [dice.number() as u8, 1]);
            let array = FixedSizeBinaryArray::try_from_iter(values).expect("of one length");
            Arc::new(array)
        }
    }
}

/// Batches of one schema.
fn batches(dice: &mut Dice, with_nested: bool) -> Vec<RecordBatch> {
    let rows = 1 + dice.below(60);
    let mut columns: Vec<ArrayRef> = Vec::new();
    for _ in 0..1 + dice.below(6) {
        match dice.below(4) {
            0 => {
                for _ in 0..1 + dice.below(4) {
                    columns.push(labels(dice, rows));
                }
            }
            1 if with_nested => columns.push(nested(dice, rows)),
            _ => columns.push(column(dice, rows)),
        }
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|column| Field::new(dice.string(), column.data_type().clone(), true))
        .collect();
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    // Parts of one batch share their dictionaries, those of another one do not.
    let cut = dice.below(rows + 1);
    let (left, right) = (whole.slice(0, cut), whole.slice(cut, rows - cut));
    let other = RecordBatch::new_empty(whole.schema());
    vec![left, other, right]
        .into_iter()
        .filter(|batch| batch.num_rows() > 0)
        .collect()
}

/// The text of `batches`, in pieces of about `bytes_max`.
fn written(shape: Shape, batches: &[RecordBatch], bytes_max: usize) -> Result<String, ArrowError> {
    let mut writer = RowWriter::new(shape);
    let mut whole = Vec::new();
    let mut buffer = Vec::new();
    for batch in batches {
        writer.begin(batch)?;
        while writer.is_in_batch() {
            let mut text = Text::reusing(buffer);
            writer.write(&mut text, bytes_max)?;
            whole.extend_from_slice(text.bytes());
            buffer = text.into_parts().0;
        }
    }
    let mut text = Text::default();
    writer.finish(&mut text);
    whole.extend_from_slice(text.bytes());
    Ok(String::from_utf8(whole).expect("text"))
}

fn by_arrow(shape: Shape, batches: &[RecordBatch]) -> Result<String, ArrowError> {
    let bytes = match shape {
        Shape::Json => {
            let mut writer = ArrayWriter::new(Vec::new());
            for batch in batches {
                writer.write(batch)?;
            }
            writer.finish()?;
            writer.into_inner()
        }
        Shape::JsonLines => {
            let mut writer = LineDelimitedWriter::new(Vec::new());
            for batch in batches {
                writer.write(batch)?;
            }
            writer.into_inner()
        }
        Shape::Csv => {
            let mut writer = arrow::csv::Writer::new(Vec::new());
            for batch in batches {
                writer.write(batch)?;
            }
            writer.into_inner()
        }
    };
    Ok(String::from_utf8(bytes).expect("text"))
}

const SHAPES: [Shape; 3] = [Shape::Json, Shape::JsonLines, Shape::Csv];

#[test]
fn random_rows_look_as_arrow_shows_them() {
    for seed in 0..150 {
        for shape in SHAPES {
            let mut dice = Dice(Random::seeded(seed));
            let batches = batches(&mut dice, shape != Shape::Csv);
            let expected = by_arrow(shape, &batches).expect("arrow shows all of it");
            for bytes_max in [1, 300, 1 << 20] {
                let found = written(shape, &batches, bytes_max).expect("all of it is shown");
                assert!(
                    found == expected,
                    "seed {seed}, {shape:?} in pieces of {bytes_max}, {:#?}\nfound    {found}\nexpected {expected}",
                    batches[0].schema()
                );
            }
        }
    }
}

#[test]
fn another_dictionary_replaces_the_one_before() {
    let batch = |values: [&str; 2]| {
        let labels = |keys: [i32; 3]| -> ArrayRef {
            let values = StringArray::from(values.to_vec());
            let keys = Int32Array::from(keys.to_vec());
            Arc::new(DictionaryArray::new(keys, Arc::new(values)))
        };
        RecordBatch::try_from_iter([("a", labels([0, 0, 1])), ("b", labels([1, 1, 1]))])
            .expect("a batch")
    };
    let batches = [batch(["x", "y"]), batch(["z", "x"])];
    let expected = "a,b\nx,y\nx,y\ny,y\nz,x\nz,x\nx,x\n";
    assert_eq!(
        written(Shape::Csv, &batches, 1 << 20).expect("shown"),
        expected
    );
}

#[test]
fn rows_and_results_without_anything() {
    for shape in SHAPES {
        let whole = written(shape, &[], 1).expect("nothing to show");
        assert_eq!(whole, by_arrow(shape, &[]).expect("nothing to show"));
    }
    let empty = StringArray::from(vec![Some(""), None, Some("a")]);
    let batch = RecordBatch::try_from_iter_with_nullable([("", Arc::new(empty) as ArrayRef, true)])
        .expect("a batch");
    for shape in SHAPES {
        let batches = [batch.clone()];
        assert_eq!(
            written(shape, &batches, 1).expect("shown"),
            by_arrow(shape, &batches).expect("shown")
        );
    }
}

#[test]
fn what_cannot_be_shown_is_refused_before_any_row() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let batch = RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef)]).expect("a batch");
    let refused = written(Shape::Csv, &[batch], 1).expect_err("csv has no lists");
    assert!(
        refused.to_string().contains("column `l` has parts"),
        "{refused}"
    );
}
