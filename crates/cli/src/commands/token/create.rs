//! `create token`: the operator token, further admin tokens, and tokens with permissions; from a server or offline into a
//! file (spec/cli.md §7.1, §9.2; spec/auth-tokens.md §13, §14).
//!
//! With `--admin`, what the server refuses is told on stdout with exit code 0, because scripts of the reference rely on it;
//! `--strict` has it told as every other command does. Replacing the operator token is done by `regenerate`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use reqwest::Method;
use serde_json::json;
use server::{Clock, SystemClock};

use super::regenerate::{RotationOptions, Target, rotate};
use super::{Made, Misuse, PATH, TokenFormat, file, print_made, seconds};
use crate::client::{Body, Client, ClientError, ConnectionOptions};
use crate::environment::Environment;
use crate::exit_codes;
use crate::output::{self, Asked, Unconfirmed};

/// The name of the operator token.
pub(super) const OPERATOR: &str = "_admin";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Make a token that may do everything: with --name a further one, else the operator token
    #[arg(long, conflicts_with = "permission")]
    admin: bool,

    /// Make a token that may do this, such as db:sensors:read,write or system:metrics:read; can be repeated
    #[arg(long, value_name = "PERMISSION", requires = "name")]
    permission: Vec<String>,

    /// Name of the new token
    #[arg(long)]
    name: Option<String>,

    /// How long the token is valid, such as 90d; with --regenerate: from now on
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    expiry: Option<Duration>,

    /// What the token is for
    #[arg(long, value_name = "TEXT", requires = "permission")]
    description: Option<String>,

    /// Replace the operator token: the old one stops working at once
    #[arg(long, requires = "admin", conflicts_with = "offline")]
    regenerate: bool,

    #[command(flatten)]
    rotation: RotationOptions,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Make the token without a server, for a server that reads it from a file at its start
    #[arg(long, requires = "output_file")]
    offline: bool,

    /// File to write the token to; a file of tokens with permissions is extended
    #[arg(long, value_name = "FILE", requires = "offline")]
    output_file: Option<PathBuf>,

    /// Databases that the server shall make before it reads the permissions
    #[arg(
        long,
        value_name = "DATABASES",
        value_delimiter = ',',
        requires_all = ["offline", "permission"]
    )]
    create_databases: Vec<String>,

    /// How to print the token
    #[arg(long, value_enum, default_value_t = TokenFormat::Text)]
    format: TokenFormat,

    /// End with exit code 1, and the reason on stderr, when there is no token
    #[arg(long, env = "INFLUXDB3_STRICT")]
    strict: bool,
}

impl Options {
    /// The usage rules that the parser does not know.
    pub(crate) fn check(&self) -> Result<(), Misuse> {
        if !self.admin && self.permission.is_empty() {
            return Err(match &self.name {
                Some(_) => (
                    ErrorKind::UnknownArgument,
                    "unexpected argument '--name' found\n\n  tip: say what the token may do, with --admin or --permission".to_string(),
                ),
                None => (
                    ErrorKind::MissingSubcommand,
                    "Missing required subcommand\n\nUse: influxdb3 create token --admin [OPTIONS]\n  or: influxdb3 create token --permission <PERMISSION> --name <NAME> [OPTIONS]".to_string(),
                ),
            });
        }
        if self.regenerate && self.name.is_some() {
            return Err((
                ErrorKind::ArgumentConflict,
                "--regenerate cannot be used with --name, --regenerate only applies for operator token\n\n  tip: any token is replaced by: influxdb3 regenerate token --token-name <NAME>".to_string(),
            ));
        }
        if !self.regenerate
            && let Some(option) = self.rotation.given()
        {
            return Err((
                ErrorKind::MissingRequiredArgument,
                format!("{option} can only be used with --regenerate"),
            ));
        }
        Ok(())
    }

    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        if self.expiry.is_some() && self.admin && self.name.is_none() && !self.regenerate {
            output::complain(
                "warning: --expiry is ignored: it takes a --name, for the operator token is made without an end",
            );
        }
        if self.offline {
            return self.make_offline(environment);
        }
        match self.make().await {
            Ok((token, note)) => print_made(&token, self.format, note, environment),
            Err(reason) if !self.admin || self.strict || exit_codes::are_detailed(environment) => {
                Err(reason.into())
            }
            Err(reason) => output::print(format_args!("Failed to create token, error: {reason:?}")),
        }
    }

    /// The new token, and what else there is to say about it.
    async fn make(&self) -> Result<(String, &'static str), Refusal> {
        if self.regenerate {
            if !self.yes && !self.confirmed()? {
                return Err(Refusal::Unconfirmed);
            }
            let client = Client::new(&self.connection, None)?;
            let answer = rotate(&client, Target::Operator, &self.rotation, self.expiry).await?;
            return Ok((answer.token, self.rotation.note()));
        }
        let client = Client::new(&self.connection, None)?;
        let expiry_secs = self.expiry.map(seconds);
        let (path, body) = match &self.name {
            None => (format!("{PATH}/admin"), Body::Empty),
            Some(name) if self.admin => (
                format!("{PATH}/named_admin"),
                Body::Json(json!({ "token_name": name, "expiry_secs": expiry_secs })),
            ),
            Some(name) => {
                let mut body = json!({
                    "token_name": name,
                    "permissions": self.permission,
                    "expiry_secs": expiry_secs,
                });
                if let Some(description) = &self.description {
                    body["description"] = json!(description);
                }
                (PATH.to_string(), Body::Json(body))
            }
        };
        let response = client.send(Method::POST, &path, &[], body).await?;
        let made: Made = response.json().await?;
        Ok((made.token, ""))
    }

    /// Asks; where stdout must stay what the format says, the question goes to stderr.
    fn confirmed(&self) -> Result<bool, Refusal> {
        let asked = match self.format {
            TokenFormat::Text => Asked::OnStdout,
            TokenFormat::Json | TokenFormat::Token => Asked::OnStderr,
        };
        let question = "Are you sure you want to regenerate admin token? Enter 'yes' to confirm";
        match output::ask(question, asked) {
            Ok(answer) => Ok(answer == "yes"),
            Err(fault) => Err(Refusal::Text(fault.to_string())),
        }
    }

    fn make_offline(&self, environment: &Environment) -> anyhow::Result<()> {
        let path = self
            .output_file
            .as_deref()
            .expect("--offline requires --output-file");
        let name = self.name.as_deref().unwrap_or(OPERATOR);
        let lasts = self.expiry.filter(|_| self.name.is_some());
        let entry = file::Entry {
            token: server::offline_token::draw()?,
            name: name.to_string(),
            expiry_millis: lasts.map(end_ms).transpose()?,
        };
        match self.admin {
            true => file::write_admin(path, &entry)?,
            false => {
                for permission in &self.permission {
                    server::offline_token::check_permission(permission)?;
                }
                file::add_with_permissions(path, &entry, &self.permission, &self.create_databases)?;
            }
        }
        let saved = format!("Token saved to: {}", path.display());
        match self.format {
            TokenFormat::Text => output::print(saved)?,
            // Elsewhere stdout has the token alone.
            TokenFormat::Json | TokenFormat::Token => output::complain(saved),
        }
        print_made(&entry.token, self.format, "", environment)
    }
}

/// When a token that is made now ends, in milliseconds since 1970.
fn end_ms(lasts: Duration) -> anyhow::Result<i64> {
    let end = i64::try_from(lasts.as_millis())
        .ok()
        .and_then(|lasts_ms| SystemClock::new().now_ms().checked_add(lasts_ms));
    end.ok_or_else(|| anyhow::anyhow!("--expiry {lasts:?} is too long"))
}

/// Why there is no token. The debug form is shown to scripts that search it (spec/cli.md §5).
enum Refusal {
    Client(ClientError),
    Unconfirmed,
    Text(String),
}

const UNCONFIRMED: &str = "Cannot regenerate token without confirmation";

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(formatter),
            Self::Unconfirmed => UNCONFIRMED.fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

impl From<Refusal> for anyhow::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(error) => error.into(),
            Refusal::Unconfirmed => Self::new(Unconfirmed).context(UNCONFIRMED),
            Refusal::Text(text) => Self::msg(text),
        }
    }
}
