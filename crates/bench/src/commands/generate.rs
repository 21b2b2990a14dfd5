//! `bench generate`: the workload as line protocol, to a file or to standard output.

use crate::Error;
use crate::record::RecordOptions;
use crate::workload::late::{self, Batches, Order, OrderOptions};
use crate::workload::{Plan, WorkloadOptions, Written, shards};
use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Write the workload as line protocol
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    workload: WorkloadOptions,

    #[command(flatten)]
    order: OrderOptions,

    /// File to write, compressed if its name ends in .gz or .zst; standard output if not given
    #[arg(long, short)]
    output: Option<PathBuf>,

    /// Threads that make rows, for --order time; the file does not depend on it
    #[arg(long, default_value_t = 1)]
    workers: usize,

    /// Stop after so many rows, for --order time
    #[arg(long)]
    rows_max: Option<usize>,

    #[command(flatten)]
    record: RecordOptions,
}

const ROWS_PER_WRITE: usize = 1_000;

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    // Before there is a file: bad options leave an older one as it is.
    let making = Making::new(options)?;
    let mut output = match &options.output {
        Some(path) => Output::create(path)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => Output::Plain(Box::new(io::stdout().lock())),
    };
    let started = Instant::now();
    let mut bytes = 0;
    let written = making.write(|lines| {
        bytes += lines.len();
        output.write_all(lines)?;
        Ok(())
    })?;
    output.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    let (rows, values) = (written.rows as f64, written.values as f64);
    eprintln!(
        "{} rows, {bytes} bytes, {} values in {seconds:.2} s: {:.2} M rows/s, {:.0} MB/s, {:.1} M values/s",
        written.rows,
        written.values,
        rows / seconds / 1e6,
        bytes as f64 / seconds / 1e6,
        values / seconds / 1e6,
    );
    let use_case = options.workload.use_case.to_possible_value();
    let name = use_case.as_ref().map_or("", |value| value.get_name());
    let mut record = options.record.start("generate", name);
    record
        .figure("rows", rows)
        .figure("bytes", bytes as f64)
        .figure("values", values)
        .figure("rows_per_s", rows / seconds)
        .figure("mb_per_s", bytes as f64 / seconds / 1e6)
        .figure("workers", options.workers as f64);
    options.record.keep(&record)?;
    Ok(())
}

/// Rows about to be made.
enum Making {
    InTime {
        plan: Plan,
        workers: usize,
        rows_max: usize,
    },
    InBatches(Batches),
}

impl Making {
    fn new(options: &Options) -> Result<Self, Error> {
        let plan = options.workload.plan()?;
        let workers = options.workers;
        if workers == 0 {
            return Err("--workers 0 would make nothing".into());
        }
        if options.order.order == Order::Time {
            return Ok(Self::InTime {
                plan,
                workers,
                rows_max: options.rows_max.unwrap_or(usize::MAX),
            });
        }
        if workers > 1 {
            return Err(format!("--workers {workers} needs --order time").into());
        }
        if let Some(rows_max) = options.rows_max {
            return Err(format!("--rows-max {rows_max} needs --order time").into());
        }
        let batches = late::batches(&plan, &options.order, ROWS_PER_WRITE)?;
        Ok(Self::InBatches(batches))
    }

    fn write(self, mut sink: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<Written, Error> {
        let batches = match self {
            Self::InTime {
                plan,
                workers,
                rows_max,
            } => return shards::write(&plan, workers, rows_max, sink),
            Self::InBatches(batches) => batches,
        };
        let mut total = Written::default();
        for batch in batches {
            sink(&batch.lines)?;
            total += Written {
                rows: batch.rows,
                values: batch.values,
            };
        }
        Ok(total)
    }
}

/// Where the lines go.
enum Output {
    Plain(Box<dyn Write>),
    Gzip(GzEncoder<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let suffix = path.extension().and_then(|suffix| suffix.to_str());
        Ok(match suffix {
            Some("gz") => Self::Gzip(GzEncoder::new(file, Compression::default())),
            Some("zst") => Self::Zstd(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?),
            _ => Self::Plain(Box::new(file)),
        })
    }

    fn write_all(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.write_all(lines),
            Self::Gzip(output) => output.write_all(lines),
            Self::Zstd(output) => output.write_all(lines),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut output) => output.flush(),
            Self::Gzip(output) => output.finish().map(drop),
            Self::Zstd(output) => output.finish().map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, run};
    use clap::Parser;
    use std::io::Read;
    use std::path::Path;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    fn generate(arguments: &[&str], output: &Path) -> Result<Vec<u8>, String> {
        let mut all = vec!["test", "--hosts", "3", "--end", "2016-01-01T00:10:00Z"];
        all.extend(["--output", output.to_str().expect("a path of ASCII")]);
        all.extend(arguments);
        let arguments = Arguments::try_parse_from(all).map_err(|error| error.to_string())?;
        run(&arguments.options).map_err(|error| error.to_string())?;
        std::fs::read(output).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_holds_the_rows_plain_or_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let plain = generate(&[], &folder.path().join("cpu.lp")).unwrap();
        assert_eq!(plain.iter().filter(|byte| **byte == b'\n').count(), 180);

        let gzip = generate(&[], &folder.path().join("cpu.lp.gz")).unwrap();
        let mut lines = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..])
            .read_to_end(&mut lines)
            .unwrap();
        assert_eq!(lines, plain);

        let zstd = generate(&[], &folder.path().join("cpu.lp.zst")).unwrap();
        assert_eq!(zstd::decode_all(&zstd[..]).unwrap(), plain);
        assert!(zstd.len() < plain.len() / 4 && gzip.len() < plain.len() / 4);
    }

    #[test]
    fn rows_may_be_fewer_or_in_another_order() {
        let folder = tempfile::tempdir().unwrap();
        let generate = |arguments: &[&str]| generate(arguments, &folder.path().join("lines"));
        let whole = generate(&[]).unwrap();
        let part = generate(&["--rows-max", "100", "--workers", "2"]).unwrap();
        assert!(whole.starts_with(&part));
        assert_eq!(part.iter().filter(|byte| **byte == b'\n').count(), 100);

        let sorted = |lines: &[u8]| {
            let mut lines: Vec<Vec<u8>> =
                lines.split(|byte| *byte == b'\n').map(Vec::from).collect();
            lines.sort_unstable();
            lines
        };
        for order in ["late", "backfill"] {
            let other = generate(&[
                "--order",
                order,
                "--late-by",
                "1m",
                "--backfill-window",
                "2m",
            ]);
            let other = other.unwrap();
            assert_ne!(other, whole);
            assert_eq!(sorted(&other), sorted(&whole));
        }
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let generate = |arguments: &[&str]| generate(arguments, &folder.path().join("lines"));
        let before = generate(&[]).unwrap();
        for (arguments, expected) in [
            (&["--workers", "0"][..], "--workers 0 would make nothing"),
            (
                &["--workers", "2", "--order", "late"],
                "--workers 2 needs --order time",
            ),
            (
                &["--rows-max", "9", "--order", "backfill"],
                "--rows-max 9 needs --order time",
            ),
        ] {
            assert_eq!(generate(arguments).unwrap_err(), expected);
        }
        assert_eq!(std::fs::read(folder.path().join("lines")).unwrap(), before);
        assert!(
            generate(&["--use-case", "gpu-only"])
                .unwrap_err()
                .contains("'gpu-only'")
        );
        let nowhere = folder.path().join("no/such/folder");
        let told =
            super::run(&Arguments::parse_from(["test", "-o", nowhere.to_str().unwrap()]).options);
        assert!(told.unwrap_err().to_string().starts_with("cannot write "));
    }
}
