//! `auth`: logging in and out as a user (spec/cli.md §9.5). Users are not there yet, so these commands say so.

use anyhow::bail;

use crate::client::ConnectionOptions;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Auth {
    /// Log in as a user
    Login(LoginOptions),
    /// Forget who is logged in
    Logout(Options),
    /// Set another password
    #[command(alias = "reset_password")]
    ResetPassword(Options),
}

#[derive(Debug, clap::Args)]
pub(crate) struct LoginOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Log in with the provider that the server names
    #[arg(long)]
    oauth: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,
}

impl Auth {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let what = match self {
            Self::Login(_) => "logging in",
            Self::Logout(_) => "logging out",
            Self::ResetPassword(_) => "resetting a password",
        };
        bail!("{what} is not implemented yet: authenticate with --token")
    }
}
