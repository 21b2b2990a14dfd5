//! `man`: manual pages, made from the commands and options as they are.
//!
//! One page to the standard output, of the binary or of the command that is named; or a page for every command into a folder.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::CommandFactory;
use clap_mangen::Man;

use super::Arguments;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write all pages into this folder, which is made when it is missing
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    output_dir: Option<PathBuf>,

    /// Command to print the page of, such as: create database
    command: Vec<String>,
}

impl Options {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match &self.output_dir {
            Some(folder) => write_all(folder),
            None => output::print(page(&self.command)?.trim_end()),
        }
    }
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    let unwritable = |cause| anyhow::anyhow!("cannot write to {}: {cause}", folder.display());
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    clap_mangen::generate_to(Arguments::command(), folder).map_err(unwritable)
}

fn page(words: &[String]) -> anyhow::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let mut found = &command;
    for word in words {
        match found.find_subcommand(word) {
            Some(next) => found = next,
            None => bail!("there is no command {:?}", words.join(" ")),
        }
    }
    // The page is named as a whole, `influxdb3-create-database`, as its file is.
    let name = found.get_display_name().unwrap_or(found.get_name());
    let named = found.clone().name(name.to_string());
    let mut page = Vec::new();
    Man::new(named).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
