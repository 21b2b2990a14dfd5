//! Tokens on the command line: one file per command (spec/auth-tokens.md §13, §14; spec/cli.md §7, §9.2).
//!
//! ```text
//! create token --admin | --permission   regenerate token   confirm token   revoke token   delete token
//! show tokens   show token
//! ```
//!
//! A clear token passes from the answer to the standard output, or with `--offline` into one file of the caller's, and is
//! kept nowhere else. Not here: what tokens may do (the server).

pub(crate) mod create;

pub(crate) mod regenerate;

pub(crate) mod confirm;

pub(crate) mod revoke;

pub(crate) mod delete;

pub(crate) mod show;

mod file;

use std::time::Duration;

use clap::error::ErrorKind;
use serde::Deserialize;
use serde_json::json;

use crate::environment::Environment;
use crate::output::{self, Style};

/// All that the server has about tokens lies below this path.
const PATH: &str = "/api/v3/configure/token";

const STORE_SECURELY: &str = "Store this token securely, as it will not be shown again.";

/// A usage error that the parser's own rules cannot express: its kind and what it says.
pub(crate) type Misuse = (ErrorKind, String);

/// How a new token is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum TokenFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// The token and nothing else
    Token,
}

/// What is read of the server's answer to a request that made a token.
#[derive(Deserialize)]
struct Made {
    token: String,
}

/// Prints a new token; in text, `note` stands after it.
fn print_made(
    token: &str,
    format: TokenFormat,
    note: &str,
    environment: &Environment,
) -> anyhow::Result<()> {
    match format {
        TokenFormat::Text => {
            let text = text(token, Style::of_stdout(environment));
            output::print(format_args!("{text}{note}"))
        }
        TokenFormat::Json => {
            let object = json!({ "help_msg": STORE_SECURELY, "token": token });
            output::print(format_args!("{object:#}"))
        }
        TokenFormat::Token => output::print(token),
    }
}

fn text(token: &str, style: Style) -> String {
    let created = style.underlined("New token created successfully!");
    let token_label = style.bold("Token:");
    let header_label = style.bold("HTTP Requests Header:");
    let important = style.alarming("IMPORTANT:");
    format!(
        "\n{created}\n\n{token_label} {token}\n{header_label} Authorization: Bearer {token}\n\n{important} {STORE_SECURELY}\n"
    )
}

/// Whole seconds for the wire, rounded up: what was asked for as half a second is not over at once.
fn seconds(duration: Duration) -> u64 {
    let begun = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_count_as_one() {
        for (duration, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(2), 2),
            (Duration::from_millis(2001), 3),
            (Duration::MAX, u64::MAX),
        ] {
            assert_eq!(seconds(duration), expected, "{duration:?}");
        }
    }
}
