//! Who asks: a token, or the file that it is read from. `--token` and `--token-file` with their variables (spec/cli.md §4.1).
//!
//! A flag is stronger than a variable, and that than `.env` and a profile, whichever of the two options it gives. A file keeps the token
//! out of the list of processes; `-` is the standard input, of which one line is read.

use std::fmt;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::client::ClientError;

/// Text that is never printed.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

/// The options as they stand on the line.
#[derive(Debug, Args)]
struct CredentialOptions {
    /// Token to authenticate with; others on this machine can see it in the list of processes
    #[arg(long, env = "INFLUXDB3_AUTH_TOKEN", hide_env_values = true)]
    token: Option<Secret>,

    /// File whose first line is the token to authenticate with; - for the standard input
    #[arg(long, env = "INFLUXDB3_AUTH_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The stronger of the two options.
#[derive(Clone, Debug, Default)]
pub(crate) enum Credential {
    #[default]
    None,
    Token(Secret),
    File(PathBuf),
}

impl Credential {
    /// The token, read now when it stands in a file.
    pub(crate) fn token(&self) -> Result<Option<Secret>, ClientError> {
        let path = match self {
            Self::None => return Ok(None),
            Self::Token(token) => return Ok(Some(token.clone())),
            Self::File(path) => path,
        };
        let fault = |told: String| ClientError::Io(format!("{}: {told}", path.display()));
        let mut line = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin()
                .read_line(&mut line)
                .map_err(|cause| fault(cause.to_string()))?;
        } else {
            line = std::fs::read_to_string(path).map_err(|cause| fault(cause.to_string()))?;
        }
        match line.lines().next().unwrap_or_default().trim() {
            "" => Err(fault("there is no token in the first line".to_string())),
            token => Ok(Some(Secret(token.to_string()))),
        }
    }
}

impl Args for Credential {
    fn augment_args(command: Command) -> Command {
        CredentialOptions::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        CredentialOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for Credential {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (token, file) = (
            matches.value_source("token"),
            matches.value_source("token_file"),
        );
        if token == Some(ValueSource::CommandLine) && token == file {
            return Err(clap::Error::raw(
                ErrorKind::ArgumentConflict,
                "the argument '--token <TOKEN>' cannot be used with '--token-file <FILE>'",
            ));
        }
        let options = CredentialOptions::from_arg_matches(matches)?;
        Ok(match (options.token, options.token_file) {
            (None, None) => Self::None,
            (Some(token), None) => Self::Token(token),
            (None, Some(path)) => Self::File(path),
            (Some(_), Some(path)) if rank(file) > rank(token) => Self::File(path),
            (Some(token), Some(_)) => Self::Token(token),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// How strong the place is that a value comes from.
fn rank(source: Option<ValueSource>) -> u8 {
    match source {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        // What `.env` or a profile says is given to the parser as a default.
        Some(_) => 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line gives, where the environment and `.env` give nothing, or a token or file by default.
    fn given(
        line: &[&str],
        token_by_default: bool,
        file_by_default: bool,
    ) -> Result<String, clap::Error> {
        let mut command = Credential::augment_args(Command::new("test"));
        command = command.mut_arg("token", |option| {
            let option = option.env(None::<&str>);
            match token_by_default {
                true => option.default_value("weak"),
                false => option,
            }
        });
        command = command.mut_arg("token_file", |option| {
            let option = option.env(None::<&str>);
            match file_by_default {
                true => option.default_value("weak"),
                false => option,
            }
        });
        let matches = command.try_get_matches_from([&["test"], line].concat())?;
        Ok(match Credential::from_arg_matches(&matches)? {
            Credential::None => "nothing".to_string(),
            Credential::Token(token) => format!("token {}", token.expose()),
            Credential::File(path) => format!("file {}", path.display()),
        })
    }

    #[test]
    fn the_stronger_place_wins() {
        let given = |line, token, file| given(line, token, file).expect("a credential");
        assert_eq!(given(&[], false, false), "nothing");
        assert_eq!(given(&["--token", "a"], true, true), "token a");
        assert_eq!(given(&["--token-file", "a"], true, true), "file a");
        assert_eq!(given(&[], true, true), "token weak");
        assert_eq!(given(&[], false, true), "file weak");
    }

    #[test]
    fn both_on_the_line_are_too_many() {
        given(&["--token", "a", "--token-file", "b"], false, false).expect_err("a conflict");
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let token = Credential::Token(Secret::from("apiv3_abc".to_string()));
        assert_eq!(format!("{token:?}"), "Token([hidden])");
    }
}
