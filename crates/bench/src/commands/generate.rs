//! `bench generate`: the workload as line protocol, to a file or to standard output.

use crate::Error;
use crate::workload::WorkloadOptions;
use crate::workload::cpu::Rows;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

/// Write the workload as line protocol
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: WorkloadOptions,

    /// File to write; standard output if not given
    #[arg(long, short)]
    output: Option<PathBuf>,
}

const ROWS_PER_WRITE: usize = 1_000;

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let mut rows = Rows::new(&options.workload.plan()?);
    let mut output: Box<dyn Write> = match &options.output {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let started = Instant::now();
    let mut buffer = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    loop {
        buffer.clear();
        let written = rows.write(ROWS_PER_WRITE, &mut buffer).rows;
        if written == 0 {
            break;
        }
        output.write_all(&buffer)?;
        count += written;
        bytes += buffer.len();
    }
    output.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "{count} rows, {bytes} bytes, {:.2} M rows/s, {:.0} MB/s",
        count as f64 / seconds / 1e6,
        bytes as f64 / seconds / 1e6
    );
    Ok(())
}
