//! Rules about who may name what: each banned word belongs to a few crates and is an error in all others.
//!
//! These are the ✓ invariants of `docs/architecture.md` that show in sources; those that show in manifests are in
//! `dependencies`.

use super::Finding;
use super::source::Source;

/// Programs for developers: outside the product, so they may do what they like with clock, terminal and network.
pub(crate) const PROGRAMS: &[&str] = &["bench", "compat", "fuzz", "xtask"];

/// Words that belong to some crates alone.
struct Belonging {
    words: &'static [&'static str],
    /// The crates that may name them.
    owners: &'static [&'static str],
    /// Whether tests of other crates may name them too.
    tests_may: bool,
    instead: &'static str,
}

const BELONGINGS: &[Belonging] = &[
    Belonging {
        words: &["datafusion"],
        owners: &["query"],
        tests_may: false,
        instead: "only `query` names DataFusion; ask its QueryEngine, which speaks Arrow",
    },
    Belonging {
        words: &["SystemTime::now", "Instant::now", "Utc::now", "Local::now"],
        owners: &["runtime"],
        tests_may: true,
        instead: "only `runtime` reads the clock; use World's `clock`",
    },
    Belonging {
        words: &["rand::", "Uuid::new_v4", "getrandom::"],
        owners: &["runtime"],
        tests_may: true,
        instead: "only `runtime` draws randomness; use World's `random`",
    },
    Belonging {
        words: &[
            "thread::spawn",
            "thread::scope",
            "thread::Builder",
            "tokio::spawn",
            "task::spawn",
            "spawn_blocking",
            "spawn_local",
            "JoinSet",
        ],
        owners: &["runtime"],
        tests_may: true,
        instead: "only `runtime` starts tasks and threads; use World's `tasks`",
    },
    Belonging {
        words: &["axum", "hyper", "hyper_util", "reqwest"],
        owners: &["server", "cli"],
        tests_may: false,
        instead: "only `server` and `cli` know HTTP; return plain data and let `server` encode it",
    },
    Belonging {
        words: &["println!", "eprintln!", "print!", "eprint!"],
        owners: &["cli"],
        tests_may: true,
        instead: "only `cli` prints; return the text, or log with tracing",
    },
    Belonging {
        words: &["process::exit", "process::abort"],
        owners: &["cli"],
        tests_may: false,
        instead: "only `cli` ends the process; return an Error",
    },
    Belonging {
        words: &["env::args", "env::args_os"],
        owners: &["cli"],
        tests_may: false,
        instead: "only `cli` reads arguments; take a Config",
    },
];

/// What `line_protocol` must not touch: it turns text into points and nothing else.
const WORLD: &[&str] = &["std::fs", "std::net", "std::io", "std::env", "std::process"];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let owner = source.crate_name();
    // A build script is a program too: it talks to cargo by printing. So is an example.
    if PROGRAMS.contains(&owner)
        || source.path.ends_with("/build.rs")
        || source.path.contains("/examples/")
    {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, code) in source.code.iter().enumerate() {
        let mut found = |word: &str, instead: &str| {
            let what = format!("`{word}` in `{owner}`: {instead}");
            findings.push(Finding::new(&source.path, index + 1, what));
        };
        for belonging in BELONGINGS {
            let may =
                belonging.owners.contains(&owner) || (belonging.tests_may && source.test[index]);
            for word in belonging.words {
                if !may && contains_word(code, word) {
                    found(word, belonging.instead);
                }
            }
        }
        for word in WORLD {
            if owner == "line_protocol" && !source.test[index] && contains_word(code, word) {
                found(
                    word,
                    "the parser does no I/O; let its caller read and pass text",
                );
            }
        }
    }
    findings
}

/// Whether `word` stands in `code` and is not part of a longer name.
pub(crate) fn contains_word(code: &str, word: &str) -> bool {
    let is_name = |each: char| each.is_alphanumeric() || each == '_';
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        let joined_before = word.starts_with(is_name) && before.is_some_and(is_name);
        let joined_after = word.ends_with(is_name) && after.is_some_and(is_name);
        !joined_before && !joined_after
    })
}
