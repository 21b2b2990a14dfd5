//! The frozen bytes, and what is made of others.

use crate::change::{Change, apply};
use crate::format::{decode_checkpoint, decode_log, encode_checkpoint, encode_log};
use crate::log::Record;
use std::sync::Arc;

use crate::{
    Action, Column, ColumnId, ColumnKind, DatabaseId, Digest, ErrorKind, FieldType, Grant,
    NewExpiry, Permissions, Snapshot, SystemResource, TableId, TokenId,
};

/// One record with every kind of change.
fn record() -> Record {
    let kinds = [
        ("host", ColumnKind::Tag),
        ("time", ColumnKind::Time),
        ("f", ColumnKind::Field(FieldType::Float)),
        ("i", ColumnKind::Field(FieldType::Integer)),
        ("u", ColumnKind::Field(FieldType::Unsigned)),
        ("s", ColumnKind::Field(FieldType::String)),
        ("b", ColumnKind::Field(FieldType::Boolean)),
    ];
    let mut columns: Vec<_> = kinds
        .iter()
        .zip(0..)
        .map(|((name, kind), id)| Column {
            id: ColumnId(id),
            name: (*name).into(),
            kind: *kind,
        })
        .collect();
    let later = columns.split_off(2);
    Record {
        sequence: 1,
        nonce: [0xa5; 16],
        changes: vec![
            Change::Begin {
                uuid: "3d5a5d4e-0000-4000-8000-000000000001".into(),
            },
            Change::CreateDatabase {
                id: DatabaseId(1),
                name: "foo".into(),
                retention_ms: Some(u64::MAX),
            },
            Change::CreateTable {
                database: DatabaseId(1),
                id: TableId(0),
                name: "a \"table\", \u{1F980}".into(),
                columns,
                retention_ms: None,
            },
            Change::AddColumns {
                table: TableId(0),
                columns: later,
            },
            Change::DeleteDatabase {
                id: DatabaseId(1),
                renamed: "foo-20260203T040506".into(),
                deleted_at_ms: 1_770_091_506_000,
                hard_delete_at_ms: None,
            },
            Change::RescheduleHardDelete {
                id: DatabaseId(1),
                hard_delete_at_ms: Some(-1),
            },
            Change::CreateToken {
                id: TokenId(0),
                name: "_admin".into(),
                description: None,
                digest: Digest([1; 64]),
                created_at_ms: 1_770_091_506_000,
                created_by: None,
                expiry_ms: None,
                permissions: Arc::new(Permissions::admin()),
            },
            Change::RotateToken {
                id: TokenId(0),
                digest: Digest([0xfe; 64]),
                updated_at_ms: 1_770_091_507_000,
                updated_by: Some(TokenId(0)),
                expiry: NewExpiry::Unchanged,
                previous_until_ms: None,
            },
        ],
    }
}

/// What can happen to tables and databases after their creation: on top of the first record.
fn lifecycle() -> Record {
    let time = |name: &str, id, retention_ms| Change::CreateTable {
        database: DatabaseId(2),
        id: TableId(id),
        name: name.into(),
        columns: vec![Column {
            id: ColumnId(0),
            name: "time".into(),
            kind: ColumnKind::Time,
        }],
        retention_ms,
    };
    let delete = |id, renamed: &str, hard_delete_at_ms| Change::DeleteTable {
        id: TableId(id),
        renamed: renamed.into(),
        deleted_at_ms: 1_770_091_508_000,
        hard_delete_at_ms,
    };
    Record {
        sequence: 2,
        nonce: [0x5a; 16],
        changes: vec![
            Change::RemoveTable { id: TableId(0) },
            Change::RemoveDatabase { id: DatabaseId(1) },
            Change::CreateDatabase {
                id: DatabaseId(2),
                name: "bar".into(),
                retention_ms: None,
            },
            Change::SetDatabaseRetention {
                id: DatabaseId(2),
                retention_ms: Some(3_600_000),
            },
            time("kept", 1, Some(0)),
            time("soon", 2, None),
            time("late", 3, None),
            Change::SetTableRetention {
                id: TableId(2),
                retention_ms: Some(u64::MAX),
            },
            Change::SetTableRetention {
                id: TableId(3),
                retention_ms: None,
            },
            delete(2, "soon-20260203T040508", Some(1_770_091_508_000)),
            delete(3, "late-20260203T040508", None),
        ],
    }
}

/// What was deleted comes back: on top of the first two records.
fn comeback() -> Record {
    Record {
        sequence: 3,
        nonce: [0x3c; 16],
        changes: vec![
            Change::UndeleteTable {
                id: TableId(3),
                name: "late".into(),
            },
            Change::DeleteDatabase {
                id: DatabaseId(2),
                renamed: "bar-20260203T040509".into(),
                deleted_at_ms: 1_770_091_509_000,
                hard_delete_at_ms: None,
            },
            Change::UndeleteDatabase {
                id: DatabaseId(2),
                name: "again".into(),
            },
        ],
    }
}

/// The life of tokens, on top of the first two records.
fn tokens() -> Record {
    let token = |id, name: &str, permissions| Change::CreateToken {
        id: TokenId(id),
        name: name.into(),
        description: (id == 2).then(|| "reads \u{1F980}".into()),
        digest: Digest([id as u8; 64]),
        created_at_ms: 1_770_091_509_000,
        created_by: Some(TokenId(0)),
        expiry_ms: (id == 2).then_some(1_770_091_600_000),
        permissions: Arc::new(permissions),
    };
    let rotate = |id, digest, expiry, previous_until_ms| Change::RotateToken {
        id: TokenId(id),
        digest: Digest([digest; 64]),
        updated_at_ms: 1_770_091_510_000,
        updated_by: None,
        expiry,
        previous_until_ms,
    };
    let stage = |id, digest, expiry| Change::StageToken {
        id: TokenId(id),
        digest: Digest([digest; 64]),
        until_ms: 1_770_091_520_000,
        expiry,
        grace_ms: 5_000,
    };
    let grants = vec![
        Grant::EveryDatabase([Action::Create, Action::Describe].into_iter().collect()),
        Grant::Databases {
            databases: vec![DatabaseId(2)],
            tables: vec![(DatabaseId(2), TableId(1))],
            actions: [Action::Read, Action::Write, Action::Delete]
                .into_iter()
                .collect(),
        },
        Grant::EverySystem,
        Grant::System(SystemResource::ALL.to_vec()),
    ];
    Record {
        sequence: 3,
        nonce: [0xc3; 16],
        changes: vec![
            token(1, "ci", Permissions::admin()),
            token(2, "reader", Permissions::of(grants)),
            token(3, "gone", Permissions::of(Vec::new())),
            rotate(1, 11, NewExpiry::AtMs(-1), Some(1_770_091_530_000)),
            Change::DropPreviousSecret { id: TokenId(1) },
            stage(1, 12, NewExpiry::Never),
            Change::ConfirmToken {
                id: TokenId(1),
                updated_at_ms: 1_770_091_511_000,
                previous_until_ms: Some(1_770_091_540_000),
            },
            rotate(2, 21, NewExpiry::Unchanged, None),
            stage(2, 22, NewExpiry::AtMs(1_770_091_700_000)),
            stage(0, 1, NewExpiry::Unchanged),
            Change::DropStagedSecret { id: TokenId(0) },
            Change::DeleteToken { id: TokenId(3) },
        ],
    }
}

fn snapshot() -> Snapshot {
    apply(Snapshot::default(), 1, &record().changes).expect("apply")
}

#[test]
fn log_bytes_are_frozen() {
    let frozen: &[u8] = include_bytes!("../../testdata/format/log_v1.bin");
    assert_eq!(decode_log(frozen).expect("decode"), record());
    // The rotation in it is written in another way by now, and read in both.
    let rewritten = encode_log(&record()).expect("encode");
    assert_eq!(decode_log(&rewritten).expect("decode"), record());
}

#[test]
fn checkpoint_bytes_are_frozen() {
    let frozen: &[u8] = include_bytes!("../../testdata/format/checkpoint_v1.bin");
    let decoded = decode_checkpoint(frozen).expect("decode");
    assert_eq!(encode_checkpoint(&decoded).expect("encode"), frozen);
    assert_eq!(encode_checkpoint(&snapshot()).expect("encode"), frozen);
}

#[test]
fn lifecycle_bytes_are_frozen() {
    let frozen: &[u8] = include_bytes!("../../testdata/format/log_v1_lifecycle.bin");
    assert_eq!(decode_log(frozen).expect("decode"), lifecycle());
    assert_eq!(encode_log(&lifecycle()).expect("encode"), frozen);
    let frozen: &[u8] = include_bytes!("../../testdata/format/checkpoint_v1_lifecycle.bin");
    let lived = apply(snapshot(), 2, &lifecycle().changes).expect("apply");
    assert_eq!(encode_checkpoint(&lived).expect("encode"), frozen);
    let decoded = decode_checkpoint(frozen).expect("decode");
    assert_eq!(encode_checkpoint(&decoded).expect("encode"), frozen);
    assert_eq!((decoded.live_databases(), decoded.live_tables()), (1, 1));
}

#[test]
fn comeback_bytes_are_frozen() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/format/log_v1_comeback.bin");
    let log = encode_log(&comeback()).expect("encode");
    if std::env::var_os("UPDATE").is_some() && !path.exists() {
        std::fs::write(&path, &log).expect("the folder can be written to");
    }
    assert_eq!(std::fs::read(&path).expect("the frozen bytes"), log);
    assert_eq!(decode_log(&log).expect("decode"), comeback());

    let lived = apply(snapshot(), 2, &lifecycle().changes).expect("apply");
    let after = apply(lived, 3, &comeback().changes).expect("apply");
    let database = after.database("again").expect("live");
    assert!(database.table("late").is_some() && database.table("soon").is_none());
    assert_eq!((after.live_databases(), after.live_tables()), (1, 2));
    let checkpoint = encode_checkpoint(&after).expect("encode");
    let decoded = decode_checkpoint(&checkpoint).expect("decode");
    assert_eq!((decoded.live_databases(), decoded.live_tables()), (1, 2));
}

#[test]
fn token_bytes_are_frozen() {
    let lived = apply(snapshot(), 2, &lifecycle().changes).expect("apply");
    let after = apply(lived, 3, &tokens().changes).expect("apply");
    let log = encode_log(&tokens()).expect("encode");
    let checkpoint = encode_checkpoint(&after).expect("encode");
    for (name, bytes) in [
        ("log_v1_tokens.bin", &log),
        ("checkpoint_v1_tokens.bin", &checkpoint),
    ] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/format")
            .join(name);
        if std::env::var_os("UPDATE").is_some() && !path.exists() {
            std::fs::write(&path, bytes).expect("the folder can be written to");
        }
        assert_eq!(std::fs::read(&path).expect(name), *bytes, "{name}");
    }
    assert_eq!(decode_log(&log).expect("decode"), tokens());
    let decoded = decode_checkpoint(&checkpoint).expect("decode");
    assert_eq!(
        format!("{:?}", decoded.tokens()),
        format!("{:?}", after.tokens())
    );
    assert_eq!(encode_checkpoint(&decoded).expect("encode"), checkpoint);
}

#[test]
fn every_truncation_and_every_flipped_bit_is_noticed() {
    let log = encode_log(&record()).expect("encode");
    let checkpoint = encode_checkpoint(&snapshot()).expect("encode");
    let check = |bytes: &[u8]| {
        for refusal in [
            decode_log(bytes).expect_err("damaged log"),
            decode_checkpoint(bytes).expect_err("damaged checkpoint"),
        ] {
            assert_eq!(refusal.kind(), ErrorKind::Corrupt);
            assert!(refusal.message().starts_with("at offset "), "{refusal}");
        }
    };
    for whole in [log, checkpoint] {
        for end in 0..whole.len() {
            check(&whole[..end]);
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped);
        }
    }
}

/// Bytes whose checksum is right and whose content is not.
#[test]
fn well_framed_nonsense_is_refused() {
    let check = |magic: &[u8; 8], json: &str, expected: &str| {
        let length = (json.len() as u64).to_le_bytes();
        let checksum = crc32fast::hash(&[&length[..], json.as_bytes()].concat());
        let framed = [
            &magic[..],
            &1_u32.to_le_bytes(),
            &checksum.to_le_bytes(),
            &length,
            json.as_bytes(),
        ]
        .concat();
        let outcome = match magic {
            b"GNOMCLOG" => decode_log(&framed).map(|_| ()),
            _ => decode_checkpoint(&framed).map(|_| ()),
        };
        let refusal = outcome.expect_err(json);
        assert_eq!(refusal.kind(), ErrorKind::Corrupt);
        assert!(refusal.message().contains(expected), "{refusal}");
    };
    let nonce = "00".repeat(16);
    let digest = "00".repeat(64);
    check(b"GNOMCLOG", "", "at offset 24: the JSON is wrong");
    check(b"GNOMCLOG", "[[[[", "the JSON is wrong");
    check(b"GNOMCLOG", &"[".repeat(100_000), "the JSON is wrong");
    check(
        b"GNOMCLOG",
        r#"{"sequence":1,"nonce":"zz","changes":[]}"#,
        "nonce is not 32 lower-case hexadecimal digits",
    );
    let changes = [
        (
            r#"{"kind":"rename"}"#.to_string(),
            "unknown variant `rename`",
        ),
        (
            r#"{"kind":"begin","uuid":"x","more":1}"#.to_string(),
            "unknown field `more`",
        ),
        (
            format!(
                r#"{{"kind":"regenerate_admin_token","id":0,"digest":"{}","updated_at_ms":0}}"#,
                "F".repeat(128)
            ),
            "digest is not 128 lower-case hexadecimal digits",
        ),
        (
            format!(
                r#"{{"kind":"create_resource_token","id":0,"name":"a","digest":"{digest}","created_at_ms":0,"expiry_ms":null,"permissions":[{{"on":"every_database","actions":["update"]}}]}}"#
            ),
            "unknown permission 'update'",
        ),
        (
            r#"{"kind":"add_columns","table":0,"columns":[{"id":65536,"name":"a","kind":"tag"}]}"#
                .to_string(),
            "invalid value: integer `65536`",
        ),
    ];
    for (change, expected) in changes {
        let json = format!(r#"{{"sequence":1,"nonce":"{nonce}","changes":[{change}]}}"#);
        check(b"GNOMCLOG", &json, expected);
    }

    let internal = r#"{"id":0,"name":"_internal","retention_ms":null,"deleted_at_ms":null,"hard_delete_at_ms":null,"tables":[]}"#;
    let with_tables = |tables: &str| internal.replace("[]", &format!("[{tables}]"));
    let token = format!(
        r#"{{"id":0,"name":"_admin","digest":"{digest}","created_at_ms":0,"updated_at_ms":null,"updated_by":null,"expiry_ms":null}}"#
    );
    let time = r#"{"id":0,"name":"time","kind":"time"}"#;
    let checkpoints = [
        (
            String::new(),
            String::new(),
            "the internal database is untouched",
        ),
        (
            format!("{internal},{internal}"),
            String::new(),
            "ids are never reused",
        ),
        (
            format!("{internal},{}", internal.replace(":0", ":1")),
            String::new(),
            "names are unique",
        ),
        (
            format!(
                "{internal},{}",
                internal.replace(":0", ":9").replace("_internal", "a")
            ),
            String::new(),
            "a next id that is in use",
        ),
        (
            internal.replace("\"hard_delete_at_ms\":null", "\"hard_delete_at_ms\":1"),
            String::new(),
            "deleted stays deleted",
        ),
        (
            with_tables(&format!(
                r#"{{"id":0,"name":"t","columns":[{time}],"hard_delete_at_ms":1}}"#
            )),
            String::new(),
            "deleted stays deleted",
        ),
        (
            with_tables(r#"{"id":0,"name":"t","columns":[]}"#),
            String::new(),
            "every table has one time column",
        ),
        (
            with_tables(r#"{"id":0,"name":"t","columns":[{"id":0,"name":"time","kind":"tag"}]}"#),
            String::new(),
            "every table has one time column",
        ),
        (
            with_tables(&format!(
                r#"{{"id":0,"name":"t","columns":[{time},{{"id":2,"name":"a","kind":"tag"}}]}}"#
            )),
            String::new(),
            "column ids are dense",
        ),
        (
            with_tables(&format!(
                r#"{{"id":0,"name":"t","columns":[{time},{{"id":1,"name":"a","kind":"tag"}},{{"id":2,"name":"a","kind":"float"}}]}}"#
            )),
            String::new(),
            "column names are unique",
        ),
        (
            with_tables(&format!(
                r#"{{"id":0,"name":"t","columns":[{time}]}},{{"id":0,"name":"u","columns":[{time}]}}"#
            )),
            String::new(),
            "ids are never reused",
        ),
        (
            with_tables(&format!(
                r#"{{"id":4294967295,"name":"t","columns":[{time}]}}"#
            )),
            String::new(),
            "no table ids are left",
        ),
        (
            internal.to_string(),
            format!("{token},{token}"),
            "names are unique",
        ),
        (
            internal.to_string(),
            format!(
                "{token},{}",
                token.replace("_admin", "b").replacen(":0", ":1", 1)
            ),
            "token digests are unique",
        ),
    ];
    for (databases, tokens, expected) in checkpoints {
        let json = format!(
            r#"{{"sequence":1,"uuid":"x","next_database_id":2,"next_table_id":2,"next_token_id":2,"databases":[{databases}],"tokens":[{tokens}]}}"#
        );
        check(b"GNOMCCHK", &json, expected);
    }
}
