//! Runs of seeds: a fixed set always, any others by hand.
//!
//! `GNOMON_SIM_SEEDS=1000..2000` runs those, on `GNOMON_SIM_THREADS` threads; `GNOMON_SIM_SEED=1234` runs one and shows
//! its trace; `GNOMON_SIM_WITHOUT` leaves steps out: docs/simulation.md.

use std::env;
use std::io::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use runtime::sim::{Dice, alone, in_parallel};
use sim::profile::Profile;
use sim::{Failure, Kind, Options, Passed};

/// Run every time.
const SEEDS: Range<u64> = 0..120;

/// Differences told before the rest is given up.
const FAILURES_MAX: usize = 10;

fn run(seed: u64, options: &Options) -> Result<Passed, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| alone(sim::run(seed, options))));
    match outcome {
        Ok(Ok(Ok(passed))) => Ok(passed),
        Ok(Ok(Err(failure))) => Err(failure.to_string()),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
                .unwrap_or_default();
            Err(Failure {
                seed,
                what: format!("panics: {what}"),
                trace: Vec::new(),
            }
            .to_string())
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// Steps may be left out, such as `DropTable,TakeOver`, to look past a defect that is known.
fn options() -> Options {
    let names = env::var("GNOMON_SIM_WITHOUT").unwrap_or_default();
    let names = names.split(',').filter(|name| !name.is_empty());
    Options {
        without: names
            .map(|name| Kind::named(name).expect("a kind of step"))
            .collect(),
        strict: env::var("GNOMON_SIM_STRICT").is_ok(),
    }
}

fn seeds() -> Range<u64> {
    let Ok(text) = env::var("GNOMON_SIM_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = text.split_once("..").expect("from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn every_seed_does_what_the_model_does() {
    let failures = Mutex::new(Vec::new());
    let seeds = seeds();
    let options = options();
    let threads = number("GNOMON_SIM_THREADS").unwrap_or(2) as usize;
    in_parallel(threads, seeds.clone(), |seed| {
        if failures.lock().expect("not poisoned").len() >= FAILURES_MAX {
            return;
        }
        if let Err(failure) = run(seed, &options) {
            writeln!(std::io::stderr(), "{failure}\n").expect("told");
            failures.lock().expect("not poisoned").push(seed);
        }
    });
    let failures = failures.into_inner().expect("not poisoned");
    assert!(failures.is_empty(), "of seeds {seeds:?} fail {failures:?}");
}

/// Shows one seed's trace and the program's own log beside it.
#[test]
fn replay() {
    let Some(seed) = number("GNOMON_SIM_SEED") else {
        return;
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let outcome = alone(sim::run(seed, &options())).expect("a runtime");
    let trace = match &outcome {
        Ok(passed) => &passed.trace,
        Err(failure) => &failure.trace,
    };
    for line in trace {
        writeln!(std::io::stderr(), "{line}").expect("told");
    }
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Seeds with one table, one process at a time and no background work repeat to the letter. With more tables the node's own order
/// of them, which is that of a hash map, decides which file comes first; and the n-th use of the store, at which a process dies,
/// may be one of the log's own. Nor do seeds where a flush takes along what happens to wait, or two things happen at once.
#[test]
fn a_seed_repeats() {
    let one_table = |seed: &u64| {
        let profile = Profile::draw(*seed, &mut Dice::new(*seed));
        profile.databases * profile.tables == 1 && !profile.background
    };
    let options = Options {
        without: vec![
            Kind::TakeOver,
            Kind::Crash,
            Kind::Unsynced,
            Kind::Together,
            Kind::Meanwhile,
        ],
        ..Options::default()
    };
    for seed in (0..).filter(one_table).take(6) {
        let all = || run(seed, &options).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(all(), all(), "seed {seed}");
    }
}
