//! What a log could say and must not.

use super::{Change, Invariant, apply};
use std::sync::Arc;

use crate::{
    Column, ColumnId, ColumnKind, DatabaseId, Digest, ErrorKind, FieldType, NewExpiry, Permissions,
    Snapshot, TableId, TokenId,
};

fn column(id: u16, name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(id),
        name: name.into(),
        kind,
    }
}

fn create_database(id: u32, name: &str) -> Change {
    Change::CreateDatabase {
        id: DatabaseId(id),
        name: name.into(),
        retention_ms: None,
    }
}

fn create_table(database: u32, id: u32, name: &str) -> Change {
    Change::CreateTable {
        database: DatabaseId(database),
        id: TableId(id),
        name: name.into(),
        columns: vec![column(0, "time", ColumnKind::Time)],
        retention_ms: None,
    }
}

fn add_column(table: u32, added: Column) -> Change {
    Change::AddColumns {
        table: TableId(table),
        columns: vec![added],
    }
}

fn delete_database(id: u32, renamed: &str) -> Change {
    Change::DeleteDatabase {
        id: DatabaseId(id),
        renamed: renamed.into(),
        deleted_at_ms: 1,
        hard_delete_at_ms: None,
    }
}

fn delete_table(id: u32, renamed: &str) -> Change {
    Change::DeleteTable {
        id: TableId(id),
        renamed: renamed.into(),
        deleted_at_ms: 1,
        hard_delete_at_ms: Some(1),
    }
}

fn create_token(id: u64, name: &str, digest: u8) -> Change {
    Change::CreateToken {
        id: TokenId(id),
        name: name.into(),
        description: None,
        digest: Digest([digest; 64]),
        created_at_ms: 0,
        created_by: None,
        expiry_ms: None,
        permissions: Arc::new(Permissions::admin()),
    }
}

fn regenerate(id: u64, digest: u8) -> Change {
    Change::RotateToken {
        id: TokenId(id),
        digest: Digest([digest; 64]),
        updated_at_ms: 0,
        updated_by: None,
        expiry: NewExpiry::Unchanged,
        previous_until_ms: None,
    }
}

fn begun() -> Snapshot {
    let changes = [
        Change::Begin { uuid: "u".into() },
        create_database(1, "foo"),
        create_table(1, 0, "t"),
        create_database(2, "gone"),
        create_table(2, 1, "t"),
        delete_database(2, "gone-x"),
        create_table(1, 2, "old"),
        delete_table(2, "old-x"),
        create_token(0, "_admin", 1),
    ];
    apply(Snapshot::default(), 1, &changes).expect("begun")
}

#[test]
fn every_invariant_is_checked() {
    let float = ColumnKind::Field(FieldType::Float);
    let reschedule = |id| Change::RescheduleHardDelete {
        id: DatabaseId(id),
        hard_delete_at_ms: Some(1),
    };
    let keep = |id| Change::SetDatabaseRetention {
        id: DatabaseId(id),
        retention_ms: None,
    };
    let keep_table = |id| Change::SetTableRetention {
        id: TableId(id),
        retention_ms: None,
    };
    let remove = |id| Change::RemoveDatabase { id: DatabaseId(id) };
    let remove_table = |id| Change::RemoveTable { id: TableId(id) };
    let cases = [
        (Change::Begin { uuid: "v".into() }, Invariant::BeginsOnce),
        (create_database(1, "bar"), Invariant::IdsAreNeverReused),
        (create_database(2, "bar"), Invariant::IdsAreNeverReused),
        (create_database(3, "foo"), Invariant::NamesAreUnique),
        (create_database(3, "gone-x"), Invariant::NamesAreUnique),
        (delete_database(9, "x"), Invariant::ChangedThingExists),
        (delete_database(1, "gone-x"), Invariant::NamesAreUnique),
        (delete_database(2, "x"), Invariant::DeletedStaysDeleted),
        (
            delete_database(0, "x"),
            Invariant::InternalDatabaseIsUntouched,
        ),
        (reschedule(1), Invariant::DeletedStaysDeleted),
        (reschedule(9), Invariant::ChangedThingExists),
        (create_table(1, 1, "u"), Invariant::IdsAreNeverReused),
        (create_table(1, 2, "u"), Invariant::IdsAreNeverReused),
        (create_table(1, 3, "t"), Invariant::NamesAreUnique),
        (create_table(1, 3, "old-x"), Invariant::NamesAreUnique),
        (create_table(2, 3, "u"), Invariant::DeletedStaysDeleted),
        (create_table(9, 3, "u"), Invariant::ChangedThingExists),
        (keep(0), Invariant::InternalDatabaseIsUntouched),
        (keep(2), Invariant::DeletedStaysDeleted),
        (keep(9), Invariant::ChangedThingExists),
        (keep_table(1), Invariant::DeletedStaysDeleted),
        (keep_table(2), Invariant::DeletedStaysDeleted),
        (keep_table(9), Invariant::ChangedThingExists),
        (delete_table(0, "old-x"), Invariant::NamesAreUnique),
        (delete_table(1, "x"), Invariant::DeletedStaysDeleted),
        (delete_table(2, "x"), Invariant::DeletedStaysDeleted),
        (delete_table(9, "x"), Invariant::ChangedThingExists),
        (remove_table(0), Invariant::OnlyDeletedThingsAreRemoved),
        (remove_table(9), Invariant::ChangedThingExists),
        (remove(0), Invariant::OnlyDeletedThingsAreRemoved),
        (remove(1), Invariant::OnlyDeletedThingsAreRemoved),
        (remove(2), Invariant::OnlyDeletedThingsAreRemoved),
        (remove(9), Invariant::ChangedThingExists),
        (
            add_column(2, column(1, "f", float)),
            Invariant::DeletedStaysDeleted,
        ),
        (
            add_column(9, column(1, "f", float)),
            Invariant::ChangedThingExists,
        ),
        (
            add_column(1, column(1, "f", float)),
            Invariant::DeletedStaysDeleted,
        ),
        (
            add_column(0, column(2, "f", float)),
            Invariant::ColumnIdsAreDense,
        ),
        (
            add_column(0, column(0, "f", float)),
            Invariant::ColumnIdsAreDense,
        ),
        (
            add_column(0, column(1, "time", float)),
            Invariant::ColumnNamesAreUnique,
        ),
        (
            add_column(0, column(1, "time2", ColumnKind::Time)),
            Invariant::EveryTableHasOneTimeColumn,
        ),
        (create_token(0, "ci", 2), Invariant::IdsAreNeverReused),
        (create_token(1, "_admin", 2), Invariant::NamesAreUnique),
        (create_token(1, "ci", 1), Invariant::TokenDigestsAreUnique),
        (regenerate(1, 2), Invariant::ChangedThingExists),
        (regenerate(0, 1), Invariant::TokenDigestsAreUnique),
    ];
    for (change, invariant) in cases {
        let broken = apply(begun(), 2, std::slice::from_ref(&change)).expect_err("broken");
        assert_eq!(broken.kind(), ErrorKind::Internal);
        assert!(
            broken.message().contains(invariant.name()),
            "{change:?}: {broken}"
        );
    }
    let unbegun = apply(Snapshot::default(), 1, &[create_database(0, "foo")]);
    assert!(
        unbegun
            .expect_err("unbegun")
            .message()
            .contains(Invariant::BeginsOnce.name())
    );
    for sequence in [0, 1, 3] {
        let gap = apply(begun(), sequence, &[]).expect_err("gap");
        assert!(gap.message().contains(Invariant::SequenceGrowsByOne.name()));
    }
}

#[test]
fn the_last_ids_are_usable_once() {
    let last = apply(begun(), 2, &[create_database(u32::MAX - 1, "last")]).expect("last");
    assert_eq!(last.live_databases(), 2);
    apply(last, 3, &[create_database(u32::MAX, "more")]).expect_err("no ids left");
}

#[test]
fn ids_of_what_is_removed_stay_unused() {
    let removed = apply(
        begun(),
        2,
        &[
            Change::RemoveTable { id: TableId(2) },
            Change::RemoveTable { id: TableId(1) },
            Change::RemoveDatabase { id: DatabaseId(2) },
        ],
    )
    .expect("removed");
    assert!(removed.table_by_id(TableId(1)).is_none());
    assert!(removed.database_by_id(DatabaseId(2)).is_none());
    assert!(removed.database_named("gone-x").is_none());
    assert_eq!((removed.live_databases(), removed.live_tables()), (1, 1));
    let bytes = crate::format::encode_checkpoint(&removed).expect("encode");
    let reopened = crate::format::decode_checkpoint(&bytes).expect("decode");
    for snapshot in [removed, reopened] {
        apply(snapshot.clone(), 3, &[create_database(2, "gone")]).expect_err("an old id");
        apply(snapshot.clone(), 3, &[create_table(1, 2, "old")]).expect_err("an old id");
        apply(snapshot, 3, &[create_database(3, "gone-x")]).expect("a free name");
    }
}

#[test]
fn data_is_due_when_its_time_has_come() {
    let snapshot = begun();
    // A table that lives, one of a database kept for ever, one due at 1, one that nobody knows.
    for (table, now_ms, due) in [
        (0, i64::MAX, false),
        (1, i64::MAX, false),
        (2, 0, false),
        (2, 1, true),
        (9, i64::MIN, true),
    ] {
        assert_eq!(snapshot.is_data_due(TableId(table), now_ms), due, "{table}");
    }
    let later = Change::RescheduleHardDelete {
        id: DatabaseId(2),
        hard_delete_at_ms: Some(7),
    };
    let snapshot = apply(snapshot, 2, &[later]).expect("rescheduled");
    assert!(!snapshot.is_data_due(TableId(1), 6));
    assert!(snapshot.is_data_due(TableId(1), 7));
}
