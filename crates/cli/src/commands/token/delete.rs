//! `delete token`: a token and all its secrets, at once (spec/cli.md §7.2).
//!
//! The operator token cannot be deleted; that is told with exit code 0 and without asking a server, as scripts expect.

use reqwest::Method;

use super::PATH;
use super::create::OPERATOR;
use crate::client::{Body, Client, ConnectionOptions};
use crate::environment::Environment;
use crate::exit_codes;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the token to delete
    #[arg(long, value_name = "NAME")]
    token_name: String,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

impl Options {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        let name = self.token_name.as_str();
        if name == OPERATOR {
            let refusal = format!(
                "The operator token \"{OPERATOR}\" is required and cannot be deleted. To regenerate an operator token, use: influxdb3 create token --admin --regenerate --token [TOKEN]"
            );
            return match exit_codes::are_detailed(environment) {
                true => Err(anyhow::Error::msg(refusal)),
                false => output::print(refusal),
            };
        }
        if !self.yes {
            output::confirm_deletion(&format!("{name:?}"))?;
        }
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::DELETE, PATH, &[("token_name", name)], Body::Empty)
            .await?;
        output::print(format_args!("Token {name:?} deleted successfully"))
    }
}
