//! `debug`: commands that look into a store by themselves, without a server.
//!
//! They tell their outcome by exit code: 0 all is well, 1 something was found, 2 the command could not do its work.

use std::process::ExitCode;

use clap::Subcommand;

use crate::environment::Environment;
use crate::output;

pub(crate) mod catalog;

pub(crate) mod object_store_check;

pub(crate) mod verify;

#[derive(Debug, Subcommand)]
pub(crate) enum Debug {
    /// Look into the catalog of a store, without a server
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    /// Try an object store, without a server
    #[command(alias = "object_store_check")]
    ObjectStoreCheck(Box<object_store_check::Options>),
    /// Check everything that a server has stored
    Verify(Box<verify::Options>),
}

impl Debug {
    pub(crate) async fn run(self, environment: &Environment) -> ExitCode {
        let done = match self {
            Self::Catalog(command) => command.run(environment).await,
            Self::ObjectStoreCheck(options) => options.run(environment).await,
            Self::Verify(options) => return options.run(environment).await,
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                output::complain(format_args!("Debug command failed: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}
