//! `create token --admin`: the operator token, created or replaced (spec/cli.md §7.1, spec/auth-tokens.md §14).
//!
//! The clear token passes from the response to stdout and is kept nowhere. Failures after parsing are told on stdout
//! with exit code 0, because scripts of the reference rely on it.

use clap::error::ErrorKind;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Body, Client, ClientError, ConnectionOptions};
use crate::environment::Environment;
use crate::output::{self, Asked, Style};

const STORE_SECURELY: &str = "Store this token securely, as it will not be shown again.";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    kind: Option<Kind>,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    /// Create or replace the operator token, which may do everything
    #[command(name = "--admin")]
    Admin(AdminOptions),
}

#[derive(Debug, clap::Args)]
struct AdminOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Replace the operator token: the old one stops working at once
    #[arg(long)]
    regenerate: bool,

    /// Name of a further admin token
    #[arg(long)]
    name: Option<String>,

    /// How long a named token is valid
    #[arg(long, value_name = "DURATION", requires = "name", value_parser = crate::duration::parse)]
    expiry: Option<std::time::Duration>,

    /// How to print the token
    #[arg(long, value_enum, default_value_t = TokenFormat::Text)]
    format: TokenFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum TokenFormat {
    Text,
    Json,
}

impl Options {
    /// The usage rules that the parser does not know.
    pub(crate) fn check(&self) -> Result<(), (ErrorKind, &'static str)> {
        match &self.kind {
            None => Err((
                ErrorKind::MissingSubcommand,
                "Missing required subcommand\n\nUse: influxdb3 create token --admin [OPTIONS]",
            )),
            Some(Kind::Admin(options)) if options.regenerate && options.name.is_some() => Err((
                ErrorKind::ArgumentConflict,
                "--regenerate cannot be used with --name, --regenerate only applies for operator token",
            )),
            Some(Kind::Admin(_)) => Ok(()),
        }
    }

    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        let Some(Kind::Admin(options)) = self.kind else {
            anyhow::bail!("Missing required subcommand");
        };
        if let Some(name) = &options.name {
            anyhow::bail!(
                "named admin tokens are not in this version yet, only the operator token: --name {name:?}"
            );
        }
        if options.regenerate && !confirmed(options.format)? {
            return report(&"Cannot regenerate token without confirmation");
        }
        match options.request().await {
            Ok(token) => options.print(&token, environment),
            Err(error) => report(&error),
        }
    }
}

/// Asks; where stdout must stay one JSON object, the question goes to stderr.
fn confirmed(format: TokenFormat) -> anyhow::Result<bool> {
    let asked = match format {
        TokenFormat::Text => Asked::OnStdout,
        TokenFormat::Json => Asked::OnStderr,
    };
    let question = "Are you sure you want to regenerate admin token? Enter 'yes' to confirm";
    Ok(output::ask(question, asked)? == "yes")
}

fn report(error: &dyn std::fmt::Debug) -> anyhow::Result<()> {
    output::print(format_args!("Failed to create token, error: {error:?}"))
}

impl AdminOptions {
    async fn request(&self) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Created {
            token: String,
        }

        let path = match self.regenerate {
            true => "/api/v3/configure/token/admin/regenerate",
            false => "/api/v3/configure/token/admin",
        };
        let client = Client::new(&self.connection, None)?;
        let response = client.send(Method::POST, path, &[], Body::Empty).await?;
        let created: Created = response.json().await?;
        Ok(created.token)
    }

    fn print(&self, token: &str, environment: &Environment) -> anyhow::Result<()> {
        match self.format {
            TokenFormat::Text => {
                let style = Style::of_stdout(environment);
                output::print(text(token, style))
            }
            TokenFormat::Json => {
                let object = json!({ "help_msg": STORE_SECURELY, "token": token });
                output::print(format_args!("{object:#}"))
            }
        }
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
