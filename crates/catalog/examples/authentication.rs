//! How long it takes to accept a token, and to refuse one, with few tokens and with many.
//!
//! ```text
//! CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo run -p catalog --example authentication
//! ```
//! One line for each number of tokens: nanoseconds for each check, with the optimisation the build has. Not a test: nothing fails.

use std::hint::black_box;
use std::sync::Arc;

use catalog::{AskedPermission, AskedPermissions, Asker, Catalog, Error, Limits, TokenRequest};
use runtime::{Random, SystemClock, Tasks, World, object_store};

const CHECKS: u32 = 200_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    for tokens in [1, 1_000, 5_000] {
        measure(tokens).await?;
    }
    Ok(())
}

async fn measure(tokens: usize) -> Result<(), Error> {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        random: Random::System,
        store: object_store::in_memory(),
        tasks: Tasks::new(),
    };
    let catalog = Catalog::open("node", &world, Limits::default()).await?;
    let mut secrets = Vec::new();
    for number in 0..tokens {
        let request = TokenRequest {
            name: format!("token {number}"),
            description: None,
            expiry_ms: Some(i64::MAX),
            permissions: AskedPermissions::Listed(vec![AskedPermission::parse("db:*:write")?]),
        };
        secrets.push(catalog.create_token(request, &Asker::Node).await?.secret);
    }
    let timed = |check: &dyn Fn(usize)| {
        let begun = world.clock.monotonic();
        for number in 0..CHECKS as usize {
            check(number);
        }
        (world.clock.monotonic().saturating_sub(begun) / CHECKS).as_nanos()
    };
    let accepted_ns = timed(&|number| {
        let secret = &secrets[number % secrets.len()];
        black_box(catalog.authenticate(black_box(secret.as_bytes())).is_ok());
    });
    let refused_ns = timed(&|_| {
        black_box(catalog.authenticate(black_box(b"apiv3_unknown")).is_ok());
    });
    println!("{tokens} tokens: {accepted_ns} ns to accept, {refused_ns} ns to refuse");
    Ok(())
}
