//! Tokens: made once, rotated in every way, and never readable again.

use std::sync::Arc;
use std::time::Duration;

use catalog::{
    AskedPermission, AskedPermissions, Asker, Authenticated, Catalog, Digest, Error, ErrorKind,
    Installed, Limits, NewExpiry, NewToken, OPERATOR_TOKEN, Rotation, SecretKind, TokenRequest,
};
use runtime::World;

use crate::world::TestWorld;

async fn operator(world: &TestWorld) -> (Catalog, NewToken) {
    let catalog = world.open().await;
    let token = create_operator(&catalog).await.expect("token");
    (catalog, token)
}

async fn create_operator(catalog: &Catalog) -> Result<NewToken, Error> {
    catalog.create_operator_token(&Asker::Anyone).await
}

async fn rotate(catalog: &Catalog, by: &Authenticated) -> Result<NewToken, Error> {
    let by = Asker::Token(by.clone());
    catalog
        .rotate_token(OPERATOR_TOKEN, Rotation::default(), &by)
        .await
}

fn accepts(catalog: &Catalog, token: &NewToken) -> bool {
    catalog.authenticate(token.secret.as_bytes()).is_ok()
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
    assert_eq!((token.token.id.0, &*token.token.name), (0, "_admin"));
    let again = create_operator(&catalog).await.expect_err("exists");
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert_eq!(again.message(), "token name already exists, _admin");
    assert_eq!(
        catalog
            .authenticate(token.secret.as_bytes())
            .expect("valid")
            .token
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
        assert!(catalog.authenticate(wrong).is_err());
    }
    for place in 0..secret.len() {
        let mut wrong = secret.to_vec();
        wrong[place] ^= 1;
        assert!(catalog.authenticate(&wrong).is_err());
    }
}

#[tokio::test]
async fn a_rotation_replaces_the_secret_and_nothing_else() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    world.clock.advance(Duration::from_secs(5));
    let presented = catalog.authenticate(old.secret.as_bytes()).expect("valid");
    let new = rotate(&catalog, &presented).await.expect("rotated");
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
    let stored = snapshot.token(OPERATOR_TOKEN).expect("there");
    assert_eq!(stored.hash_hex(), new.hash_hex);
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
    let rotations = (0..8).map(|_| rotate(&catalog, &presented));
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
    let new = rotate(&here, &presented).await.expect("rotated");
    let refusal = rotate(&there, &presented).await.expect_err("too late");
    assert_eq!(refusal.kind(), ErrorKind::Denied);
    assert!(
        !accepts(&there, &old) && accepts(&there, &new),
        "there has caught up"
    );
}

#[tokio::test]
async fn without_an_operator_there_is_nothing_to_rotate() {
    let refusal = TestWorld::new()
        .open()
        .await
        .rotate_token(OPERATOR_TOKEN, Rotation::default(), &Asker::Node)
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
        let outcome = rotate(&catalog, &presented).await;
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
        let rotation = rotate(&catalog, &presented);
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
    let second = rotate(&catalog, &presented).await.expect("rotated");
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

/// How the secrets of a test are found to be: which kind, or `-` when not accepted.
fn kinds(catalog: &Catalog, secrets: &[&NewToken]) -> String {
    let kind = |secret: &&NewToken| match catalog.authenticate(secret.secret.as_bytes()) {
        Ok(accepted) => match accepted.kind {
            SecretKind::Current => "current",
            SecretKind::Previous => "previous",
            SecretKind::Staged => "staged",
        },
        Err(_) => "-",
    };
    secrets.iter().map(kind).collect::<Vec<_>>().join(" ")
}

fn by(catalog: &Catalog, token: &NewToken) -> Asker {
    Asker::Token(
        catalog
            .authenticate(token.secret.as_bytes())
            .expect("accepted"),
    )
}

#[tokio::test]
async fn an_overlap_lets_both_secrets_in_until_it_ends() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    let grace = Rotation {
        grace: Duration::from_secs(60),
        ..Rotation::default()
    };
    let rotated = |grace: Rotation, by: Asker| rotated(catalog.clone(), grace, by);
    let new = rotated(grace.clone(), by(&catalog, &old))
        .await
        .expect("rotated");
    assert_eq!(kinds(&catalog, &[&old, &new]), "previous current");
    assert_eq!(
        kinds(&world.open().await, &[&old, &new]),
        "previous current"
    );

    let refusal = rotated(grace.clone(), by(&catalog, &old))
        .await
        .expect_err("old");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!(kinds(&catalog, &[&old, &new]), "previous current");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(kinds(&catalog, &[&old, &new]), "- current");

    let newer = rotated(grace, by(&catalog, &new)).await.expect("rotated");
    assert_eq!(kinds(&catalog, &[&old, &new, &newer]), "- previous current");
    catalog
        .drop_previous_secret(OPERATOR_TOKEN, &by(&catalog, &newer))
        .await
        .expect("dropped");
    assert_eq!(kinds(&catalog, &[&old, &new, &newer]), "- - current");
    let refusal = catalog
        .drop_previous_secret(OPERATOR_TOKEN, &by(&catalog, &newer))
        .await
        .expect_err("none is left");
    assert_eq!(refusal.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_staged_secret_changes_nothing_until_it_is_confirmed() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    let stage = Rotation {
        stage_for: Some(Duration::from_secs(60)),
        expiry: NewExpiry::AtMs(i64::MAX),
        ..Rotation::default()
    };
    let staged = |by: Asker| rotated(catalog.clone(), stage.clone(), by);
    let lost = staged(by(&catalog, &old)).await.expect("staged");
    assert_eq!(lost.token.hash_hex(), old.hash_hex);
    assert_ne!(lost.hash_hex, old.hash_hex);
    assert_eq!(kinds(&catalog, &[&old, &lost]), "current staged");
    let new = staged(by(&catalog, &old)).await.expect("staged again");
    assert_eq!(kinds(&catalog, &[&old, &lost, &new]), "current - staged");
    let refusal = staged(by(&catalog, &new)).await.expect_err("not in force");
    assert_eq!(refusal.kind(), ErrorKind::Denied);

    let accepted = |token: &NewToken| catalog.authenticate(token.secret.as_bytes());
    let of_the_old = accepted(&old).expect("current");
    let refusal = catalog
        .confirm_rotation(&of_the_old, None)
        .await
        .expect_err("the old one does not confirm");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    let of_the_new = accepted(&new).expect("staged");
    let confirmed = catalog
        .confirm_rotation(&of_the_new, None)
        .await
        .expect("confirmed");
    assert_eq!(confirmed.hash_hex(), new.hash_hex);
    assert_eq!(confirmed.expiry_ms, Some(i64::MAX));
    assert_eq!(kinds(&catalog, &[&old, &lost, &new]), "- - current");
    let sequence = catalog.snapshot().sequence();
    catalog
        .confirm_rotation(&of_the_new, None)
        .await
        .expect("the answer was lost");
    assert_eq!(catalog.snapshot().sequence(), sequence, "nothing to change");

    let lapsing = staged(by(&catalog, &new)).await.expect("staged");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(kinds(&catalog, &[&new, &lapsing]), "current -");
    let dropped = staged(by(&catalog, &new)).await.expect("staged");
    catalog
        .drop_staged_secret(OPERATOR_TOKEN, &by(&catalog, &new))
        .await
        .expect("dropped");
    assert_eq!(kinds(&catalog, &[&new, &dropped]), "current -");
}

#[tokio::test]
async fn a_confirmed_secret_can_overlap() {
    let world = TestWorld::new();
    let (catalog, old) = operator(&world).await;
    let stage = Rotation {
        stage_for: Some(Duration::from_secs(60)),
        grace: Duration::from_secs(5),
        ..Rotation::default()
    };
    let new = rotated(catalog.clone(), stage, by(&catalog, &old))
        .await
        .expect("staged");
    let Asker::Token(accepted) = by(&catalog, &new) else {
        panic!("a token asks")
    };
    catalog
        .confirm_rotation(&accepted, None)
        .await
        .expect("confirmed");
    assert_eq!(kinds(&catalog, &[&old, &new]), "previous current");
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(kinds(&catalog, &[&old, &new]), "- current");
}

async fn rotated(catalog: Catalog, rotation: Rotation, by: Asker) -> Result<NewToken, Error> {
    catalog.rotate_token(OPERATOR_TOKEN, rotation, &by).await
}

/// The process ends at any operation of the store during create, rotate, stage and confirm. Afterwards one secret that was ever
/// handed out is in force, or the only one that may have been stored was never handed out.
#[tokio::test]
async fn a_process_that_ends_leaves_one_secret_in_force() {
    let mut steps_reached = std::collections::BTreeSet::new();
    for operations in 0..24 {
        let world = TestWorld::new();
        drop(world.open().await);
        let process = world.store.another();
        let store = Arc::new(process.clone());
        let doomed = World {
            store,
            ..world.other_process(operations)
        };
        process.crash_after(operations);
        let mut given = Vec::new();
        let step = live_and_die(&doomed, &mut given).await;
        steps_reached.insert(step);

        let survivor = world.open().await;
        let found: Vec<_> = given
            .iter()
            .filter_map(|token: &NewToken| survivor.authenticate(token.secret.as_bytes()).ok())
            .map(|accepted| accepted.kind)
            .collect();
        let in_force = found
            .iter()
            .filter(|kind| **kind == SecretKind::Current)
            .count();
        let operator = survivor.snapshot().token(OPERATOR_TOKEN).cloned();
        match operator {
            None => assert!(given.is_empty(), "after {operations}"),
            // The answer was lost with the process: only the plain rotation and the creation can do that.
            Some(_) if in_force == 0 => {
                assert!(
                    step == "create" || step == "rotate",
                    "{step} after {operations}"
                );
                let recovered = survivor
                    .rotate_token(OPERATOR_TOKEN, Rotation::default(), &Asker::Node)
                    .await
                    .expect("recovered");
                assert_eq!(kinds(&survivor, &[&recovered]), "current");
            }
            Some(_) => assert_eq!(in_force, 1, "{step} after {operations}"),
        }
        if step == "stage" || step == "confirm" || step == "end" {
            assert_eq!(in_force, 1, "{step} after {operations}");
        }
    }
    let all = ["confirm", "create", "end", "open", "rotate", "stage"];
    assert_eq!(steps_reached.into_iter().collect::<Vec<_>>(), all);
}

/// Collects the secrets that were handed out; says at which step the process ended.
async fn live_and_die(world: &World, given: &mut Vec<NewToken>) -> &'static str {
    let Ok(catalog) = Catalog::open("node", world, Limits::default()).await else {
        return "open";
    };
    let Ok(created) = create_operator(&catalog).await else {
        return "create";
    };
    let asker = by(&catalog, &created);
    given.push(created);
    let Ok(second) = rotated(catalog.clone(), Rotation::default(), asker).await else {
        return "rotate";
    };
    let asker = by(&catalog, &second);
    given.push(second);
    let stage = Rotation {
        stage_for: Some(Duration::from_secs(60)),
        ..Rotation::default()
    };
    let Ok(staged) = rotated(catalog.clone(), stage, asker).await else {
        return "stage";
    };
    let Asker::Token(accepted) = by(&catalog, &staged) else {
        return "stage";
    };
    given.push(staged);
    match catalog.confirm_rotation(&accepted, None).await {
        Ok(_) => "end",
        Err(_) => "confirm",
    }
}

fn request(name: &str, permissions: &[&str]) -> TokenRequest {
    let parse = |text: &&str| AskedPermission::parse(text).expect("parses");
    TokenRequest {
        name: name.to_string(),
        description: Some("for tests".to_string()),
        expiry_ms: None,
        permissions: if permissions.is_empty() {
            AskedPermissions::Admin
        } else {
            AskedPermissions::Listed(permissions.iter().map(parse).collect())
        },
    }
}

#[tokio::test]
async fn tokens_survive_in_log_and_checkpoint() {
    let world = TestWorld::new();
    let (catalog, admin) = operator(&world).await;
    catalog.create_database("foo", None).await.expect("created");
    let asker = by(&catalog, &admin);
    let named = catalog
        .create_token(request("ci", &[]), &asker)
        .await
        .expect("created");
    let reader = catalog
        .create_token(request("reader", &["db:foo:read", "system:*:read"]), &asker)
        .await
        .expect("created");
    assert_eq!(reader.token.created_by, Some(admin.token.id));
    assert_eq!(reader.token.description.as_deref(), Some("for tests"));
    let gone = catalog
        .create_token(request("gone", &["db:*:write"]), &asker)
        .await
        .expect("created");
    catalog
        .delete_token("gone", &by(&catalog, &gone))
        .await
        .expect("it may delete itself");
    let shown = |catalog: &Catalog| format!("{:?}", catalog.snapshot().tokens());
    let all = [&admin, &named, &reader, &gone];
    for checkpoint in [false, true] {
        if checkpoint {
            catalog.checkpoint().await.expect("checkpoint");
        }
        let opened = world.open().await;
        assert_eq!(shown(&opened), shown(&catalog));
        assert_eq!(kinds(&opened, &all), "current current current -");
        let snapshot = opened.snapshot();
        let permissions = &snapshot.token("reader").expect("there").permissions;
        assert_eq!(
            permissions.to_strings(&snapshot),
            ["db:foo:read", "system:*:read"]
        );
    }
    let next = catalog
        .create_token(request("gone", &["db:*:write"]), &asker)
        .await
        .expect("the name is free again");
    assert_eq!(next.token.id.0, gone.token.id.0 + 1);
}

#[tokio::test]
async fn tokens_with_secrets_of_their_own() {
    let world = TestWorld::new();
    let catalog = world.open().await;
    let digest = || Digest::of(b"apiv3_from_a_file");
    let installed = catalog
        .install_token(request("_admin", &[]), digest())
        .await
        .expect("installed");
    assert!(matches!(installed, Installed::Created(_)));
    assert!(catalog.authenticate(b"apiv3_from_a_file").is_ok());
    for (secret, expected) in [(digest(), true), (Digest::of(b"other"), false)] {
        match catalog.install_token(request("_admin", &[]), secret).await {
            Ok(Installed::NameExists { same_secret, .. }) => assert_eq!(same_secret, expected),
            other => panic!("{other:?}"),
        }
    }
    let refusal = catalog
        .install_token(request("second", &[]), digest())
        .await
        .expect_err("one secret, one token");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
    catalog
        .replace_secret("_admin", Digest::of(b"other"), None)
        .await
        .expect("replaced");
    assert!(catalog.authenticate(b"apiv3_from_a_file").is_err());
    assert!(catalog.authenticate(b"other").is_ok());
}
