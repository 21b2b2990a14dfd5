//! Which secrets are good when.

use super::permission::Permissions;
use super::*;
use crate::change::{Change, apply};

fn snapshot(changes: &[Change]) -> Snapshot {
    let begin = Change::Begin { uuid: "u".into() };
    let changes: Vec<_> = std::iter::once(begin)
        .chain(changes.iter().cloned())
        .collect();
    apply(Snapshot::default(), 1, &changes).expect("apply")
}

fn token(expiry_ms: Option<i64>) -> Change {
    Change::CreateToken {
        id: TokenId(0),
        name: "ci".into(),
        description: None,
        digest: Digest::of(b"first"),
        created_at_ms: 0,
        created_by: None,
        expiry_ms,
        permissions: Arc::new(Permissions::admin()),
    }
}

fn accepted(snapshot: &Snapshot, secret: &str, now_ms: i64) -> &'static str {
    match authenticate(snapshot, secret.as_bytes(), now_ms) {
        Ok(authenticated) => match authenticated.kind {
            SecretKind::Current => "current",
            SecretKind::Previous => "previous",
            SecretKind::Staged => "staged",
        },
        Err(Rejected::Unknown) => "unknown",
        Err(Rejected::Expired(_)) => "expired",
    }
}

#[test]
fn an_expiry_is_strict() {
    let snapshot = snapshot(&[token(Some(1_000))]);
    for (now_ms, expected) in [
        (0, "current"),
        (999, "current"),
        (1_000, "expired"),
        (1_001, "expired"),
    ] {
        assert_eq!(accepted(&snapshot, "first", now_ms), expected, "{now_ms}");
    }
    assert_eq!(accepted(&snapshot, "other", 0), "unknown");
}

#[test]
fn an_overlap_ends_at_its_time_or_with_the_token() {
    let rotate = Change::RotateToken {
        id: TokenId(0),
        digest: Digest::of(b"second"),
        updated_at_ms: 0,
        updated_by: None,
        expiry: NewExpiry::AtMs(2_000),
        previous_until_ms: Some(1_000),
    };
    let snapshot = snapshot(&[token(None), rotate]);
    for (now_ms, first, second) in [
        (999, "previous", "current"),
        (1_000, "expired", "current"),
        (2_000, "expired", "expired"),
    ] {
        assert_eq!(accepted(&snapshot, "first", now_ms), first, "{now_ms}");
        assert_eq!(accepted(&snapshot, "second", now_ms), second, "{now_ms}");
    }
}

#[test]
fn a_staged_secret_waits_and_then_replaces() {
    let stage = Change::StageToken {
        id: TokenId(0),
        digest: Digest::of(b"second"),
        until_ms: 1_000,
        expiry: NewExpiry::AtMs(3_000),
        grace_ms: 0,
    };
    let confirm = Change::ConfirmToken {
        id: TokenId(0),
        updated_at_ms: 500,
        previous_until_ms: None,
    };
    let staged = snapshot(&[token(Some(2_000)), stage.clone()]);
    assert_eq!(accepted(&staged, "first", 1_999), "current");
    assert_eq!(accepted(&staged, "second", 999), "staged");
    assert_eq!(accepted(&staged, "second", 1_000), "expired");
    let confirmed = snapshot(&[token(Some(2_000)), stage, confirm]);
    assert_eq!(accepted(&confirmed, "first", 500), "unknown");
    assert_eq!(accepted(&confirmed, "second", 2_999), "current");
    assert_eq!(accepted(&confirmed, "second", 3_000), "expired");
}

#[test]
fn use_is_noted_by_the_second_and_outlives_a_change() {
    let rotate = Change::RotateToken {
        id: TokenId(0),
        digest: Digest::of(b"second"),
        updated_at_ms: 0,
        updated_by: None,
        expiry: NewExpiry::Unchanged,
        previous_until_ms: None,
    };
    let before = snapshot(&[token(None)]);
    let used = |snapshot: &Snapshot| snapshot.token("ci").expect("there").last_used_s();
    assert_eq!(used(&before), None);
    assert_eq!(accepted(&before, "wrong", 5_999), "unknown");
    assert_eq!(used(&before), None);
    assert_eq!(accepted(&before, "first", 5_999), "current");
    let after = apply(before, 2, &[rotate]).expect("apply");
    assert_eq!(used(&after), Some(5));
}
