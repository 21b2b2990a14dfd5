//! `bench parse`: how fast line protocol is parsed, on one core.

use crate::Error;
use crate::workload::{Rows, WorkloadOptions};
use line_protocol::{Field, Line, Parser, Series};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Measure the parser on one core
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// File with line protocol; if not given, the workload, up to --rows rows
    #[arg(long)]
    file: Option<PathBuf>,

    /// How many rows of the workload to make
    #[arg(long, default_value_t = 100_000)]
    rows: usize,

    /// How often to parse it all; the fastest time counts
    #[arg(long, default_value_t = 10)]
    repeat: usize,

    #[command(flatten)]
    workload: WorkloadOptions,
}

pub(crate) fn run(options: &Options) -> Result<(), Error> {
    let text = match &options.file {
        Some(path) => std::fs::read_to_string(path)?,
        None => {
            let mut text = Vec::new();
            Rows::new(&options.workload.plan()?).write(options.rows, &mut text);
            String::from_utf8(text)?
        }
    };
    let bare = fastest(options.repeat, || parse(&text, |_| 0));
    report("series as raw run, fields, timestamp", &text, bare);
    let full = fastest(options.repeat, || {
        parse(&text, |line| {
            Series::parse(line).map_or(0, |series| series.tags.len())
        })
    });
    report("the same and Series::parse", &text, full);
    Ok(())
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    lines: usize,
    rejected: usize,
    fields: usize,
    tags: usize,
}

/// Parses all of `text`; `series` looks at each line's series and gives its number of tags.
fn parse<'a>(text: &'a str, series: impl Fn(&Line<'a>) -> usize) -> Counts {
    let mut parser = Parser::new(text);
    let mut fields: Vec<Field<'a>> = Vec::new();
    let mut counts = Counts::default();
    while let Some(line) = parser.next_line(&mut fields) {
        match line {
            Ok(line) => {
                counts.lines += 1;
                counts.fields += std::hint::black_box(&fields).len();
                counts.tags += series(&line);
                std::hint::black_box(line);
            }
            Err(_) => counts.rejected += 1,
        }
    }
    counts
}

fn fastest(repeat: usize, work: impl Fn() -> Counts) -> (Counts, Duration) {
    let mut fastest = Duration::MAX;
    let mut counts = Counts::default();
    for _ in 0..repeat.max(1) {
        let started = Instant::now();
        counts = work();
        fastest = fastest.min(started.elapsed());
    }
    (counts, fastest)
}

fn report(what: &str, text: &str, (counts, fastest): (Counts, Duration)) {
    let lines = (counts.lines + counts.rejected).max(1);
    println!(
        "{what}: {:.0} MB/s, {:.0} ns per line of {} bytes ({} lines, {} rejected, {} fields, {} tags)",
        text.len() as f64 / fastest.as_secs_f64() / 1e6,
        fastest.as_secs_f64() / lines as f64 * 1e9,
        text.len() / lines,
        counts.lines,
        counts.rejected,
        counts.fields,
        counts.tags,
    );
}
