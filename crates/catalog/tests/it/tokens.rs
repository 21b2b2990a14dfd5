//! The operator token: made once, rotated, and never readable again.

use std::time::Duration;

use catalog::{Catalog, ErrorKind, Limits, NewToken};

use crate::world::TestWorld;

async fn operator(world: &TestWorld) -> (Catalog, NewToken) {
    let catalog = world.open().await;
    let token = catalog.create_admin_token().await.expect("token");
    (catalog, token)
}

fn accepts(catalog: &Catalog, token: &NewToken) -> bool {
    catalog.authenticate(token.secret.as_bytes()).is_some()
}

#[tokio::test]
async fn the_operator_token_is_made_once() {
    let world = TestWorld::new();
    let (catalog, token) = operator(&world).await;
    let random_part = token.secret.strip_prefix("apiv3_").expect("prefix");
    assert_eq!(random_part.len(), 86);
    assert!(
        random_part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    assert_eq!(token.hash_hex.len(), 128);
    assert_eq!((token.token.id.0, token.token.name.as_str()), (0, "_admin"));
    let again = catalog.create_admin_token().await.expect_err("exists");
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(again.message(), "token name already exists, _admin");
    assert_eq!(
        catalog
            .authenticate(token.secret.as_bytes())
            .expect("valid")
            .id,
        token.token.id
    );
    assert!(accepts(&world.open().await, &token));
}

#[tokio::test]
async fn nothing_but_the_whole_secret_is_accepted() {
    let world = TestWorld::new();
    let (catalog, token) = operator(&world).await;
    let secret = token.secret.as_bytes();
    for wrong in [
        &b""[..],
        &secret[1..],
        &secret[..91],
        b"apiv3_",
        token.hash_hex.as_bytes(),
    ] {
        assert!(catalog.authenticate(wrong).is_none());
    }
    for place in 0..secret.len() {
        let mut wrong = secret.to_vec();
        wrong[place] ^= 1;
        assert!(catalog.authenticate(&wrong).is_none());
    }
}

#[tokio::test]
async fn a_rotation_replaces_the_secret_and_nothing_else() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    world.clock.advance(Duration::from_secs(5));
    let presented = catalog.authenticate(old.secret.as_bytes()).expect("valid");
    let new = catalog
        .regenerate_admin_token(&presented)
        .await
        .expect("rotated");
    assert_ne!(new.secret, old.secret);
    assert!(!accepts(&catalog, &old) && accepts(&catalog, &new));
    assert_eq!(new.token.id, old.token.id);
    assert_eq!(new.token.name, old.token.name);
    assert_eq!(new.token.created_at_ms, old.token.created_at_ms);
    assert_eq!(
        new.token.updated_at_ms,
        Some(old.token.created_at_ms + 5000)
    );
    assert_eq!(new.token.updated_by, Some(old.token.id));
    assert_eq!(new.token.expiry_ms, None);
    let snapshot = catalog.snapshot();
    assert_eq!(
        snapshot.token_hash_hex(new.token.id),
        Some(new.hash_hex.clone())
    );
    assert_eq!(
        format!("{:?}", snapshot.tokens()),
        format!("{:?}", [&new.token])
    );
    let reopened = world.open().await;
    assert!(!accepts(&reopened, &old) && accepts(&reopened, &new));
}

#[tokio::test]
async fn one_secret_rotates_once() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    let presented = catalog.authenticate(old.secret.as_bytes()).expect("valid");
    let rotations = (0..8).map(|_| catalog.regenerate_admin_token(&presented));
    let (won, lost): (Vec<_>, Vec<_>) = futures::future::join_all(rotations)
        .await
        .into_iter()
        .partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for refusal in lost {
        assert_eq!(refusal.expect_err("lost").kind(), ErrorKind::Denied);
    }
    let new = won.into_iter().next().expect("one").expect("won");
    assert!(!accepts(&catalog, &old) && accepts(&catalog, &new));
}

#[tokio::test]
async fn one_secret_rotates_once_in_two_processes() {
    let world = TestWorld::new();
    let (here, old) = operator(&world).await;
    let there = Catalog::open("node", &world.other_process(2), Limits::default())
        .await
        .expect("open");
    let presented = there.authenticate(old.secret.as_bytes()).expect("valid");
    let new = here
        .regenerate_admin_token(&presented)
        .await
        .expect("rotated");
    let refusal = there
        .regenerate_admin_token(&presented)
        .await
        .expect_err("too late");
    assert_eq!(refusal.kind(), ErrorKind::Denied);
    assert!(
        !accepts(&there, &old) && accepts(&there, &new),
        "there has caught up"
    );
}

#[tokio::test]
async fn without_an_operator_there_is_nothing_to_rotate() {
    let world = TestWorld::new();
    let (_, token) = operator(&world).await;
    let elsewhere = TestWorld::new();
    let presented = world
        .open()
        .await
        .authenticate(token.secret.as_bytes())
        .expect("valid");
    let refusal = elsewhere
        .open()
        .await
        .regenerate_admin_token(&presented)
        .await
        .expect_err("no operator");
    assert_eq!(refusal.kind(), ErrorKind::Internal);
    assert_eq!(refusal.message(), "missing admin token, cannot update");
}

/// Wherever a rotation stops, exactly one of the two secrets is good afterwards, and memory and store agree.
#[tokio::test]
async fn an_interrupted_rotation_leaves_one_secret() {
    for (refused, lost, rotates) in [(u64::MAX, 0, false), (0, 1, true), (0, 0, true)] {
        let world = TestWorld::new();
        let (catalog, old) = operator(&world).await;
        let presented = catalog.authenticate(old.secret.as_bytes()).expect("valid");
        world.store.refuse_next_puts(refused);
        world.store.lose_next_answers(lost);
        let outcome = catalog.regenerate_admin_token(&presented).await;
        world.store.refuse_next_puts(0);
        assert_eq!(outcome.is_ok(), rotates, "{refused} refused, {lost} lost");
        for opened in [catalog, world.open().await] {
            assert_eq!(accepts(&opened, &old), !rotates);
            if let Ok(new) = &outcome {
                assert!(accepts(&opened, new));
            }
        }
        if let Err(refusal) = outcome {
            assert_eq!(refusal.kind(), ErrorKind::Unavailable);
        }
    }
}

/// The client hangs up while its rotation is under way: it goes through all the same, in the store and in memory.
#[tokio::test]
async fn a_rotation_nobody_waits_for_still_ends() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    let presented = catalog.authenticate(old.secret.as_bytes()).expect("valid");
    {
        let rotation = catalog.regenerate_admin_token(&presented);
        futures::pin_mut!(rotation);
        assert!(futures::poll!(rotation).is_pending());
    }
    while accepts(&catalog, &old) {
        tokio::task::yield_now().await;
    }
    assert!(!accepts(&world.open().await, &old));
}

#[tokio::test]
async fn the_secret_is_nowhere_to_be_read() {
    let world = TestWorld::new();
    let (catalog, first) = operator(&world).await;
    let presented = catalog
        .authenticate(first.secret.as_bytes())
        .expect("valid");
    let second = catalog
        .regenerate_admin_token(&presented)
        .await
        .expect("rotated");
    catalog.checkpoint().await.expect("checkpoint");
    let texts = [
        format!("{catalog:?} {:?}", catalog.snapshot()),
        format!(
            "{first:?} {second:?} {presented:?} {:?}",
            catalog.snapshot().tokens()
        ),
    ];
    for secret in [&first.secret, &second.secret] {
        let random_part = &secret["apiv3_".len()..];
        for text in &texts {
            assert!(!text.contains(random_part));
        }
        for (path, bytes) in world.objects().await {
            let found = bytes
                .windows(random_part.len())
                .any(|window| window == random_part.as_bytes());
            assert!(!found, "{path}");
        }
    }
}
