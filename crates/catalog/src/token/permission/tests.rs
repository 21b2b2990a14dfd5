//! The grammar of permissions and what they allow, as a table: `testdata/permissions.txt`.
//!
//! ```text
//! db:a:read  db:*:write          the permissions of a token, two spaces between
//! + read a                       allowed: action and database, `database.table`, `*` for one to come
//! - write b                      refused
//! = db:a:read                    how they are written back (when that differs)
//! ! message                      why they are no permissions
//! ```

use super::*;
use crate::change::{Change, apply};
use crate::{Column, ColumnId, ColumnKind};

/// Databases `a` with tables `t` and `u`, `b` with table `t`, and `gone`, which is deleted.
fn snapshot() -> Snapshot {
    let database = |id, name: &str| Change::CreateDatabase {
        id: DatabaseId(id),
        name: name.into(),
        retention_ms: None,
    };
    let table = |database, id, name: &str| Change::CreateTable {
        database: DatabaseId(database),
        id: TableId(id),
        name: name.into(),
        columns: vec![Column {
            id: ColumnId(0),
            name: "time".into(),
            kind: ColumnKind::Time,
        }],
        retention_ms: None,
    };
    let changes = [
        Change::Begin { uuid: "u".into() },
        database(1, "a"),
        database(2, "b"),
        database(3, "gone"),
        table(1, 0, "t"),
        table(1, 1, "u:v.w"),
        table(2, 2, "t"),
        Change::DeleteDatabase {
            id: DatabaseId(3),
            renamed: "gone-x".into(),
            deleted_at_ms: 0,
            hard_delete_at_ms: None,
        },
    ];
    apply(Snapshot::default(), 1, &changes).expect("apply")
}

fn permissions(text: &str, snapshot: &Snapshot) -> Result<Permissions, Error> {
    if text == "admin" {
        return Ok(Permissions::admin());
    }
    let listed: Result<_, _> = text.split("  ").map(AskedPermission::parse).collect();
    AskedPermissions::Listed(listed?).resolve(snapshot)
}

fn is_allowed(permissions: &Permissions, asked: &str, snapshot: &Snapshot) -> bool {
    let (action, name) = asked.split_once(' ').expect("an action and a name");
    if let Some(resource) = SystemResource::named(action) {
        return permissions.allows_system(resource);
    }
    let action = Action::named(action).expect("an action");
    let resource = match name.split_once('.') {
        None if name == "*" => Resource::EveryDatabase,
        None if name == "?" => return permissions.allows_somewhere(action),
        None => {
            let within = name.strip_suffix('/');
            let database = snapshot.database(within.unwrap_or(name)).expect("known").id;
            if within.is_some() {
                return permissions.allows_within(action, database);
            }
            Resource::Database(database)
        }
        Some((database, table)) => {
            let database = snapshot.database(database).expect("known");
            Resource::Table(database.id, database.table(table).expect("known").id)
        }
    };
    permissions.allows(action, resource)
}

#[test]
fn what_permissions_allow() {
    let snapshot = snapshot();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/permissions.txt");
    let cases = std::fs::read_to_string(path).expect("the table is there");
    let mut seen = 0;
    for case in cases.split("\n\n").filter(|case| !case.starts_with('#')) {
        let mut lines = case.lines();
        let text = lines.next().expect("permissions");
        let given = permissions(text, &snapshot);
        for line in lines {
            seen += 1;
            let (sign, rest) = line.split_once(' ').expect("a sign and more");
            let given = given.as_ref();
            match sign {
                "!" if given.is_ok() => panic!("{text} is a permission"),
                "!" => assert_eq!(
                    given.map_err(Error::message).expect_err(text),
                    format!("cannot parse token permission, {rest}"),
                ),
                "=" => assert_eq!(given.expect(text).to_strings(&snapshot).join("  "), rest),
                "+" => assert!(
                    is_allowed(given.expect(text), rest, &snapshot),
                    "{text} {line}"
                ),
                "-" => assert!(
                    !is_allowed(given.expect(text), rest, &snapshot),
                    "{text} {line}"
                ),
                other => panic!("no such sign: {other}"),
            }
        }
    }
    assert!(seen > 60, "{seen} cases");
}

#[test]
fn nobody_covers_more_than_he_has() {
    let snapshot = snapshot();
    let of = |text: &str| permissions(text, &snapshot).expect(text);
    let cases = [
        ("admin", "admin", true),
        ("admin", "db:*:read", true),
        (
            "db:*:create,describe,read,write,delete  system:*:read",
            "admin",
            false,
        ),
        ("db:*:read", "db:a:read", true),
        ("db:*:read", "db:a.t:read", true),
        ("db:*:read", "db:a:read,write", false),
        ("db:a:read", "db:*:read", false),
        ("db:a:read", "db:b:read", false),
        ("db:a:read", "db:a.t:read", true),
        ("db:a.t:read", "db:a:read", false),
        ("db:a:read  db:b:write", "db:a,b:read", false),
        ("db:a:read  db:a:write", "db:a:read,write", true),
        ("system:*:read", "system:ping:read", true),
        ("system:ping:read", "system:*:read", false),
        ("db:*:read", "system:ping:read", false),
    ];
    for (holder, wanted, covered) in cases {
        assert_eq!(
            of(holder).covers(&of(wanted)),
            covered,
            "{holder} > {wanted}"
        );
    }
}

#[test]
fn what_is_gone_is_neither_allowed_nor_shown() {
    let before = snapshot();
    let given = permissions("db:a,b.t:read", &before).expect("given");
    let delete = Change::DeleteDatabase {
        id: DatabaseId(1),
        renamed: "a-x".into(),
        deleted_at_ms: 0,
        hard_delete_at_ms: None,
    };
    let again = Change::CreateDatabase {
        id: DatabaseId(4),
        name: "a".into(),
        retention_ms: None,
    };
    let after = apply(before, 2, &[delete, again]).expect("apply");
    assert!(!is_allowed(&given, "read a", &after), "another database");
    assert_eq!(given.to_strings(&after), ["db:a-x,b.t:read"]);
    assert!(given.to_strings(&Snapshot::default()).is_empty());
}

#[test]
fn a_permission_can_be_checked_without_names() {
    let checked = |text: &str| {
        let outcome = AskedPermission::parse(text).and_then(|asked| asked.check());
        outcome.map_err(|refusal| refusal.message().to_string())
    };
    assert_eq!(checked("db:nosuch,no.such:read"), Ok(()));
    assert_eq!(checked("system:ping:read"), Ok(()));
    for text in [
        "db::read",
        "db:a:update",
        "system:disk:read",
        "db:a.b:create",
    ] {
        let refusal = checked(text).expect_err(text);
        assert!(
            refusal.starts_with("cannot parse token permission, "),
            "{refusal}"
        );
    }
}
