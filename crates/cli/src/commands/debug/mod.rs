//! `debug`: commands that look into a store by themselves, without a server.
//!
//! They tell their outcome by exit code: 0 all is well, 1 something was found, 2 the command could not do its work.

use std::process::ExitCode;

use clap::Subcommand;

use crate::environment::Environment;
use crate::output;

pub(crate) mod object_store_check;

pub(crate) mod verify;

#[derive(Debug, Subcommand)]
pub(crate) enum Debug {
    /// Try an object store, without a server
    ObjectStoreCheck(Box<object_store_check::Options>),
    /// Check everything that a server has stored
    Verify(Box<verify::Options>),
}

impl Debug {
    pub(crate) async fn run(self, environment: &Environment) -> ExitCode {
        match self {
            Self::ObjectStoreCheck(options) => match options.run(environment).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    output::complain(format_args!("Debug command failed: {error}"));
                    ExitCode::FAILURE
                }
            },
            Self::Verify(options) => options.run(environment).await,
        }
    }
}
