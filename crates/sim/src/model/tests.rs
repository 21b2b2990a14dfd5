//! The model itself: what it accepts and what it does not.

use std::collections::BTreeMap;

use super::{Delete, Fields, Model, Operation, Point, Rows, TableName, Tags};

fn table() -> TableName {
    TableName {
        database: "d".to_string(),
        table: "t".to_string(),
    }
}

fn point(time: i64, field: &str, value: i64) -> Point {
    Point {
        table: table(),
        tags: Tags::new(),
        fields: Fields::from([(field.to_string(), format!("{value}i"))]),
        time,
    }
}

fn write(points: &[Point]) -> Operation {
    Operation::Write(points.to_vec())
}

fn delete(times: std::ops::RangeInclusive<i64>) -> Operation {
    Operation::Delete(Delete {
        table: table(),
        times,
        tag: None,
        field: None,
    })
}

/// Rows of time, field and value.
fn see(model: &mut Model, rows: &[(i64, &str, i64)]) -> bool {
    let mut found = Rows::new();
    for (time, field, value) in rows {
        let row = found.entry((Tags::new(), *time)).or_default();
        row.insert((*field).to_string(), format!("{value}i"));
    }
    model
        .observe(&BTreeMap::from([(table(), found)]), &BTreeMap::new())
        .is_ok()
}

#[test]
fn an_acknowledged_write_must_be_there_and_the_later_value_wins() {
    let mut model = Model::default();
    model.certain(&write(&[point(1, "f", 1), point(1, "f", 2)]));
    assert!(!see(&mut model, &[]));
    assert!(!see(&mut model, &[(1, "f", 1)]));
    assert!(see(&mut model, &[(1, "f", 2)]));
    model.certain(&write(&[point(1, "g", 3)]));
    assert!(see(&mut model, &[(1, "f", 2), (1, "g", 3)]));
}

#[test]
fn a_doubtful_write_is_whole_or_absent_and_stays_as_it_was_seen() {
    let mut model = Model::default();
    let both = write(&[point(1, "f", 1), point(2, "f", 1)]);
    model.doubtful(both.clone());
    assert!(!see(&mut model, &[(1, "f", 1)]), "half a request");
    assert!(see(&mut model, &[(1, "f", 1), (2, "f", 1)]));
    model.close();
    assert!(!see(&mut model, &[]), "it was there");
    let mut model = Model::default();
    model.doubtful(both);
    assert!(see(&mut model, &[]));
    model.close();
    assert!(!see(&mut model, &[(1, "f", 1), (2, "f", 1)]), "it was not");
}

#[test]
fn a_late_write_comes_to_light_below_what_was_written_since() {
    let mut model = Model::default();
    model.doubtful(write(&[point(1, "f", 1), point(2, "f", 1)]));
    model.certain(&write(&[point(1, "f", 5)]));
    assert!(see(&mut model, &[(1, "f", 5)]));
    assert!(!see(&mut model, &[(1, "f", 1), (2, "f", 1)]));
    assert!(see(&mut model, &[(1, "f", 5), (2, "f", 1)]));
    assert!(!see(&mut model, &[(1, "f", 5)]), "it was there");
}

#[test]
fn a_delete_takes_what_was_there_and_nothing_later() {
    let mut model = Model::default();
    model.certain(&write(&[point(1, "f", 1), point(2, "f", 1)]));
    model.certain(&delete(1..=1));
    model.certain(&write(&[point(1, "g", 2)]));
    assert!(!see(&mut model, &[(1, "f", 1), (1, "g", 2), (2, "f", 1)]));
    assert!(see(&mut model, &[(1, "g", 2), (2, "f", 1)]));
    model.doubtful(delete(2..=2));
    model.certain(&write(&[point(3, "f", 3)]));
    assert!(see(&mut model, &[(1, "g", 2), (2, "f", 1), (3, "f", 3)]));
    assert!(see(&mut model, &[(1, "g", 2), (3, "f", 3)]), "late");
    assert!(!see(&mut model, &[(1, "g", 2), (2, "f", 1), (3, "f", 3)]));
}

#[test]
fn writes_side_by_side_may_come_in_any_order_but_only_in_one() {
    let mut model = Model::default();
    let one = write(&[point(1, "f", 1), point(2, "f", 1)]);
    let two = write(&[point(1, "f", 2), point(2, "f", 2)]);
    model.side_by_side(&[(one, true), (two, true)]);
    assert!(!see(&mut model, &[(1, "f", 1), (2, "f", 2)]));
    assert!(see(&mut model, &[(1, "f", 1), (2, "f", 1)]));
    assert!(!see(&mut model, &[(1, "f", 2), (2, "f", 2)]));
}

#[test]
fn a_write_that_turns_out_to_have_happened_is_required() {
    let mut model = Model::default();
    let order = model.doubtful(write(&[point(1, "f", 1)]));
    model.happened(order);
    assert!(!see(&mut model, &[]));
    assert!(see(&mut model, &[(1, "f", 1)]));
}
