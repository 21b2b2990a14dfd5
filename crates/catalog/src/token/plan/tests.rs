//! Who may do what to which token.

use super::*;
use crate::change::apply;
use crate::token::authenticate;
use crate::{AskedPermission, Permissions};

const NOW_MS: i64 = 1_000_000;

fn token(id: u64, name: &str, expiry_ms: Option<i64>, permissions: Permissions) -> Change {
    Change::CreateToken {
        id: TokenId(id),
        name: name.into(),
        description: None,
        digest: Digest::of(name.as_bytes()),
        created_at_ms: 0,
        created_by: None,
        expiry_ms,
        permissions: Arc::new(permissions),
    }
}

/// Tokens whose secrets are their names.
fn snapshot() -> Snapshot {
    let none = || Permissions::of(Vec::new());
    let changes = [
        Change::Begin { uuid: "u".into() },
        token(0, OPERATOR_TOKEN, None, Permissions::admin()),
        token(1, "admin", Some(NOW_MS + 60_000), Permissions::admin()),
        token(2, "other admin", None, Permissions::admin()),
        token(3, "reader", Some(NOW_MS + 60_000), none()),
        token(4, "writer", None, none()),
        token(5, "expired", Some(NOW_MS), none()),
    ];
    apply(Snapshot::default(), 1, &changes).expect("apply")
}

fn by(snapshot: &Snapshot, secret: &str) -> Asker {
    Asker::Token(authenticate(snapshot, secret.as_bytes(), NOW_MS).expect("accepted"))
}

fn new() -> Digest {
    Digest::of(b"new")
}

fn kind<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
    outcome.err().map(|refusal| refusal.kind())
}

#[test]
fn who_rotates_whom() {
    let snapshot = snapshot();
    let cases = [
        (OPERATOR_TOKEN, OPERATOR_TOKEN, None),
        (OPERATOR_TOKEN, "admin", None),
        (OPERATOR_TOKEN, "reader", None),
        (OPERATOR_TOKEN, "nosuch", Some(ErrorKind::NotFound)),
        ("admin", OPERATOR_TOKEN, Some(ErrorKind::Denied)),
        ("admin", "admin", None),
        ("admin", "other admin", None),
        ("admin", "reader", None),
        ("admin", "nosuch", Some(ErrorKind::NotFound)),
        ("reader", OPERATOR_TOKEN, Some(ErrorKind::Denied)),
        ("reader", "admin", Some(ErrorKind::Denied)),
        ("reader", "reader", None),
        ("reader", "writer", Some(ErrorKind::Denied)),
        ("reader", "nosuch", Some(ErrorKind::Denied)),
    ];
    for (asker, name, expected) in cases {
        let by = by(&snapshot, asker);
        let rotated = rotate(&snapshot, name, &Rotation::default(), &by, &new(), NOW_MS);
        assert_eq!(kind(rotated), expected, "{asker} rotates {name}");
    }
    let plain = Rotation::default();
    let node = rotate(&snapshot, OPERATOR_TOKEN, &plain, &Asker::Node, &new(), 0);
    assert_eq!(kind(node), None);
    let anyone = rotate(&snapshot, OPERATOR_TOKEN, &plain, &Asker::Anyone, &new(), 0);
    assert_eq!(kind(anyone), Some(ErrorKind::Denied));
}

#[test]
fn who_deletes_whom() {
    let snapshot = snapshot();
    let cases = [
        (OPERATOR_TOKEN, OPERATOR_TOKEN, Some(ErrorKind::Unsupported)),
        (OPERATOR_TOKEN, "admin", None),
        ("admin", OPERATOR_TOKEN, Some(ErrorKind::Unsupported)),
        ("admin", "admin", None),
        ("admin", "nosuch", Some(ErrorKind::NotFound)),
        ("admin", "other admin", None),
        ("reader", "reader", None),
        ("reader", "writer", Some(ErrorKind::Denied)),
        ("reader", "nosuch", Some(ErrorKind::Denied)),
        ("reader", OPERATOR_TOKEN, Some(ErrorKind::Denied)),
    ];
    for (asker, name, expected) in cases {
        let deleted = delete(&snapshot, name, &by(&snapshot, asker), NOW_MS);
        assert_eq!(kind(deleted), expected, "{asker} deletes {name}");
    }
}

#[test]
fn expiries_are_extended_by_administrators_alone() {
    let snapshot = snapshot();
    let rotated = |asker: &str, name: &str, expiry| {
        let rotation = Rotation {
            expiry,
            ..Rotation::default()
        };
        let by = by(&snapshot, asker);
        kind(rotate(&snapshot, name, &rotation, &by, &new(), NOW_MS))
    };
    let at = |after_ms| NewExpiry::AtMs(NOW_MS + after_ms);
    assert_eq!(rotated("reader", "reader", at(60_000)), None);
    assert_eq!(rotated("reader", "reader", at(0)), None);
    let denied = Some(ErrorKind::Denied);
    assert_eq!(rotated("reader", "reader", at(60_001)), denied);
    assert_eq!(rotated("reader", "reader", NewExpiry::Never), denied);
    assert_eq!(rotated("writer", "writer", at(60_001)), None);
    assert_eq!(rotated("admin", "reader", at(60_001)), None);
    assert_eq!(rotated("admin", "admin", NewExpiry::Never), None);
    let unchanged = NewExpiry::Unchanged;
    assert_eq!(
        rotated("admin", "expired", unchanged),
        Some(ErrorKind::Invalid)
    );
    assert_eq!(rotated("admin", "expired", at(1)), None);
    let recovered = rotate(
        &snapshot,
        "expired",
        &Rotation::default(),
        &Asker::Node,
        &new(),
        NOW_MS,
    );
    let (change, _) = recovered.expect("rotated");
    assert!(matches!(
        change,
        Change::RotateToken {
            expiry: NewExpiry::Never,
            ..
        }
    ));
}

#[test]
fn a_rotation_can_insist_on_the_secret_it_replaces() {
    let snapshot = snapshot();
    let hash = snapshot.token("admin").expect("there").hash_hex();
    let by = by(&snapshot, "admin");
    let rotated = |if_match: &str| {
        let rotation = Rotation {
            if_match: Some(if_match.to_string()),
            ..Rotation::default()
        };
        rotate(&snapshot, "admin", &rotation, &by, &new(), NOW_MS)
    };
    assert_eq!(kind(rotated(&hash)), None);
    assert_eq!(kind(rotated(&hash[..9])), None);
    let refusal = rotated("000000000").expect_err("another hash");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    assert_eq!(
        refusal.message(),
        format!(
            "the hash of token admin begins with {}, not with 000000000",
            &hash[..9]
        )
    );
}

#[test]
fn only_administrators_create_and_whoever_is_gone_changes_nothing() {
    let before = snapshot();
    let request = |name: &str| TokenRequest {
        name: name.to_string(),
        description: None,
        expiry_ms: None,
        permissions: AskedPermissions::Admin,
    };
    let created = |snapshot: &Snapshot, name: &str, by: &Asker| {
        create(snapshot, &request(name), by, &new(), NOW_MS).map(|_| ())
    };
    assert_eq!(kind(created(&before, "x", &Asker::Node)), None);
    assert_eq!(kind(created(&before, "x", &by(&before, "admin"))), None);
    let denied = Some(ErrorKind::Denied);
    assert_eq!(kind(created(&before, "x", &Asker::Anyone)), denied);
    assert_eq!(kind(created(&before, "x", &by(&before, "reader"))), denied);

    let admin = by(&before, "admin");
    let (deletion, _) = delete(&before, "admin", &Asker::Node, NOW_MS).expect("deleted");
    let after = apply(before, 2, &[deletion]).expect("apply");
    assert_eq!(kind(created(&after, "x", &admin)), denied);
    let plain = Rotation::default();
    let rotated = rotate(&after, "reader", &plain, &admin, &new(), NOW_MS);
    assert_eq!(kind(rotated), denied);
    assert_eq!(kind(delete(&after, "reader", &admin, NOW_MS)), denied);
}

#[test]
fn names_and_secrets_are_checked() {
    let snapshot = snapshot();
    let refused = |name: &str, permissions: AskedPermissions, digest: &Digest| {
        let request = TokenRequest {
            name: name.to_string(),
            description: None,
            expiry_ms: None,
            permissions,
        };
        match create(&snapshot, &request, &Asker::Node, digest, NOW_MS) {
            Ok(_) => "created".to_string(),
            Err(refusal) => format!("{:?}: {}", refusal.kind(), refusal.message()),
        }
    };
    let admin = || AskedPermissions::Admin;
    assert_eq!(refused("ümläut x", admin(), &new()), "created");
    assert_eq!(refused(&"x".repeat(250), admin(), &new()), "created");
    assert_eq!(
        refused(&"x".repeat(251), admin(), &new()),
        "Invalid: token name too long: 251 bytes, max 250"
    );
    assert_eq!(
        refused("", admin(), &new()),
        "Invalid: token name cannot be empty"
    );
    assert_eq!(
        refused("a\nb", admin(), &new()),
        "Invalid: token name cannot have control characters in it"
    );
    assert_eq!(
        refused("admin", admin(), &new()),
        "Conflict: token name already exists, admin"
    );
    assert_eq!(
        refused("x", admin(), &Digest::of(b"expired")),
        "Conflict: the secret of token x is that of another token"
    );
    let unknown = AskedPermission::parse("db:nosuch:read").expect("parses");
    assert_eq!(
        refused("x", AskedPermissions::Listed(vec![unknown]), &new()),
        "Invalid: cannot parse token permission, invalid resource name nosuch"
    );
}

#[test]
fn the_open_door_closes_with_the_first_administrator() {
    let created = |changes: &[Change], by: &Asker| {
        let begin = Change::Begin { uuid: "u".into() };
        let changes: Vec<_> = std::iter::once(begin)
            .chain(changes.iter().cloned())
            .collect();
        let snapshot = apply(Snapshot::default(), 1, &changes).expect("apply");
        kind(create_operator(&snapshot, by, &new(), NOW_MS))
    };
    let admin = token(0, "from a file", None, Permissions::admin());
    let reader = token(0, "reader", None, Permissions::of(Vec::new()));
    assert_eq!(created(&[], &Asker::Anyone), None);
    assert_eq!(created(&[reader], &Asker::Anyone), None);
    let conflict = Some(ErrorKind::Conflict);
    assert_eq!(
        created(std::slice::from_ref(&admin), &Asker::Anyone),
        conflict
    );
    assert_eq!(created(&[admin], &Asker::Node), None);
}
