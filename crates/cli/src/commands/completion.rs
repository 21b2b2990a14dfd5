//! `completion`: a script that teaches a shell the commands and options. How to install it: docs/guide/command-line.md.

use clap::CommandFactory;
use clap_complete::Shell;

use super::Arguments;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The shell that will read the script
    #[arg(value_enum)]
    shell: Shell,
}

impl Options {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut Arguments::command(),
            "influxdb3",
            &mut script,
        );
        output::print(String::from_utf8_lossy(&script).trim_end())
    }
}
