//! `write`: line protocol from an argument, files or the standard input to the server, in pieces (spec/cli.md §7.5).
//!
//! Input is cut at line ends into requests, several of which are under way at once, in no order. What passes by itself is tried again; any other
//! failure ends the command, unless refused lines go to a file of their own. Nothing goes to stdout; a line of statistics per finished request goes
//! to stderr, or on a terminal one line that is redrawn.

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::Url;
use server::{Clock, SystemClock};

use crate::client::{Client, ConnectionOptions};
use crate::duration;
use crate::environment::Environment;
use crate::memory_size::{self, MemorySize};
use crate::output::{self, Style};
use crate::signals::Signals;

mod input;

mod pieces;

mod retry;

mod refused;

mod delivery;

mod ledger;

mod checkpoint;

mod statistics;

mod progress;

mod check;

use checkpoint::{Checkpoint, Identity};
use delivery::{Delivered, Delivery};
use input::Source;
use ledger::{Ledger, Reached};
use pieces::{Next, Pieces, Start, newlines};
use progress::View;
use refused::ErrorsFile;
use retry::Policy;
use statistics::{Rates, Statistics, lines_in};

/// Bytes of lines under way at once, whatever the number of requests.
const UNDER_WAY_BYTES_MAX: usize = 64 << 20;

/// How often the progress is drawn, and looked at what else is due.
const TICK: Duration = Duration::from_millis(200);

/// How often the checkpoint is saved.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Columns of a terminal that does not tell.
const WIDTH_DEFAULT: usize = 80;

/// When to show progress instead of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
enum Progress {
    /// On a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// URL of the server to write to, instead of --host
    #[arg(long, env = "INFLUXDB3_WRITE_HOST_URL", value_name = "HOST_URL", value_parser = crate::client::parse_host)]
    write_host: Option<Url>,

    /// Database to write to
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    database_name: String,

    /// Read line protocol from this file, plain or packed by gzip or zstd; `-` is the standard input. May be given several times,
    /// and may be a pattern such as 'data/*.lp.gz'
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// Unit of the timestamps: auto, s, ms, us or ns
    #[arg(short, long, value_parser = parse_precision)]
    precision: Option<String>,

    /// Keep the good lines of a request that has bad ones; this is what the server does anyway
    #[arg(long)]
    accept_partial: bool,

    /// Return before the lines are durable
    #[arg(long)]
    no_sync: bool,

    /// Compress each request
    #[arg(long)]
    gzip: bool,

    /// Bytes of line protocol in one request at most; a longer line is sent whole
    #[arg(long, value_name = "BYTES", default_value = "10485760", value_parser = parse_at_least_one)]
    max_request_size: usize,

    /// Requests under way at once at most
    #[arg(long, value_name = "N", default_value = "32", value_parser = parse_at_least_one)]
    max_concurrent_requests: usize,

    /// Print no statistics
    #[arg(short, long)]
    quiet: bool,

    /// When to show progress on one line instead of statistics
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "WHEN")]
    progress: Progress,

    /// How often a request is tried again at most when the server is away or busy; as often as --retry-timeout allows, if not given
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,

    /// How long a request is tried again at most, 5m if not given; 0s never tries again. Given, it also waits for a server that has
    /// not answered yet
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    retry_timeout: Option<Duration>,

    /// Put lines that the server refuses into this file, each with its reason, and go on
    #[arg(long, value_name = "FILE")]
    errors_file: Option<PathBuf>,

    /// Stop once more lines than this are refused
    #[arg(long, value_name = "N")]
    max_errors: Option<u64>,

    /// Keep in a checkpoint how far the files are written, and go on from there when run again
    #[arg(long, requires = "file", conflicts_with = "no_sync")]
    resume: bool,

    /// Where the checkpoint is, instead of beside the first file; implies --resume
    #[arg(
        long,
        value_name = "FILE",
        requires = "file",
        conflicts_with = "no_sync"
    )]
    checkpoint: Option<PathBuf>,

    /// Send so many bytes of line protocol in a second at most, such as 500kb or 10mb
    #[arg(long, value_name = "BYTES", value_parser = parse_rate)]
    rate_limit: Option<usize>,

    /// Only check the lines, and say at which line and column they are wrong; no server is asked
    #[arg(long)]
    dry_run: bool,

    /// Line protocol, as one argument in quotes, after all options; read from the standard input when neither it nor a
    /// file is given
    #[arg(trailing_var_arg = true)]
    line_protocol: Option<Vec<String>>,
}

fn parse_precision(text: &str) -> Result<String, String> {
    match text {
        "auto" | "s" | "second" | "ms" | "millisecond" | "us" | "u" | "microsecond" | "ns"
        | "n" | "nanosecond" => Ok(text.to_string()),
        _ => Err(format!("unrecognized precision unit: {text}")),
    }
}

fn parse_rate(text: &str) -> Result<usize, String> {
    match memory_size::parse_request_size(text)? {
        MemorySize::Bytes(0) => Err("value must be at least 1".to_string()),
        MemorySize::Bytes(bytes) => usize::try_from(bytes).map_err(|cause| cause.to_string()),
        MemorySize::Percent(_) => Err("a rate is a number of bytes, not a percentage".to_string()),
    }
}

fn parse_at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("value must be at least 1".to_string()),
        parsed => parsed.map_err(|cause| cause.to_string()),
    }
}

impl Options {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        for name in misplaced_options(self.line_protocol.as_deref().unwrap_or_default()) {
            output::complain(format_args!(
                "warning: {name} stands behind the line protocol and is taken for a part of it; options go before"
            ));
        }
        if self.max_errors.is_some() && self.errors_file.is_none() && !self.dry_run {
            anyhow::bail!("--max-errors needs --errors-file or --dry-run");
        }
        let sources = input::sources(self.line_protocol.as_deref(), &self.file)?;
        match self.dry_run {
            true => self.check(sources).await,
            false => self.write(sources, environment).await,
        }
    }

    async fn write(&self, sources: Vec<Source>, environment: &Environment) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, self.write_host.as_ref())?;
        let resumption = match self.resume || self.checkpoint.is_some() {
            true => Some(self.resumption(&sources)?),
            false => None,
        };
        let errors_file = self.errors_file.as_deref().map(ErrorsFile::open);
        let errors_file = errors_file.transpose()?;
        let clock = SystemClock::new();
        let shows_progress = self.shows_progress();
        let delivery = Delivery {
            client: &client,
            clock: &clock,
            parameters: self.parameters(),
            gzip: self.gzip,
            policy: Policy {
                is_asked_for: self.max_retries.is_some() || self.retry_timeout.is_some(),
                retries_max: self.max_retries,
                timeout: self.retry_timeout.unwrap_or(RETRY_TIMEOUT),
            },
            refused_max: errors_file
                .as_ref()
                .map(|_| self.max_errors.unwrap_or(u64::MAX)),
            announces_trouble: !self.quiet && !shows_progress,
            has_answered: Cell::new(false),
            retries: Cell::new(0),
            trouble: RefCell::new(None),
        };
        let reached = match &resumption {
            Some(resumption) => resumption.reached.clone(),
            None => vec![Reached::default(); sources.len()],
        };
        let starts: Vec<Start> = sources
            .iter()
            .zip(&reached)
            .map(|(source, reached)| Start {
                source: source.clone(),
                position: reached.position,
                is_done: reached.is_done,
            })
            .collect();
        let sizes = sources.iter().map(Source::size_bytes);
        let mut run = Run {
            options: self,
            clock: &clock,
            shows_progress,
            style: Style::of_stderr(environment),
            raw_bytes_all: sizes.sum(),
            sources,
            statistics: Statistics::default(),
            rates: Rates::default(),
            raw_bytes: 0,
            refused: 0,
            ledger: Ledger::new(reached),
            errors_file,
            resumption,
            saved_at: Duration::ZERO,
        };
        // A place that cannot be written to is told of now, not after an hour.
        run.save()?;
        let mut pieces = Pieces::new(starts, self.piece_bytes_max());
        let outcome = run.write_all(&mut pieces, &delivery).await;
        run.finish(&delivery, &pieces, outcome)
    }

    fn parameters(&self) -> Vec<(&str, &str)> {
        let mut parameters = vec![("db", self.database_name.as_str())];
        parameters.extend(self.precision.as_deref().map(|unit| ("precision", unit)));
        if self.accept_partial {
            parameters.push(("accept_partial", "true"));
        }
        if self.no_sync {
            parameters.push(("no_sync", "true"));
        }
        parameters
    }

    /// With a limited rate, a request carries no more than a second's worth.
    fn piece_bytes_max(&self) -> usize {
        let rate = self.rate_limit.unwrap_or(usize::MAX);
        self.max_request_size.min(rate)
    }

    fn shows_progress(&self) -> bool {
        let wanted = match self.progress {
            Progress::Auto => std::io::stderr().is_terminal(),
            Progress::Always => true,
            Progress::Never => false,
        };
        wanted && !self.quiet
    }

    /// How far each source got, by the checkpoint.
    fn resumption(&self, sources: &[Source]) -> anyhow::Result<Resumption> {
        let mut files = Vec::new();
        for source in sources {
            let Some(path) = source.path() else {
                anyhow::bail!("{} cannot be resumed; name files", source.name());
            };
            let identity = Identity::of(path)?;
            let name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
            files.push((name.to_string_lossy().into_owned(), identity));
        }
        let path = match (&self.checkpoint, sources.first().and_then(Source::path)) {
            (Some(path), _) => path.clone(),
            (None, Some(first)) => Checkpoint::beside(first),
            (None, None) => anyhow::bail!("--resume needs --file"),
        };
        let host = self.write_host.as_ref().unwrap_or(&self.connection.host);
        let host = host.origin().ascii_serialization();
        let checkpoint = Checkpoint::open(path, &host, &self.database_name)?;
        let mut reached = Vec::new();
        for (name, identity) in &files {
            let progress = checkpoint.progress(name, identity)?;
            reached.push(progress.map_or_else(Reached::default, |progress| Reached {
                position: progress.position(),
                is_done: progress.is_done(),
            }));
        }
        Ok(Resumption {
            checkpoint,
            files,
            reached,
        })
    }

    /// Reads everything and writes nothing.
    async fn check(&self, sources: Vec<Source>) -> anyhow::Result<()> {
        let names: Vec<String> = sources.iter().map(Source::name).collect();
        let starts = sources.into_iter().map(Start::from).collect();
        let mut pieces = Pieces::new(starts, self.max_request_size);
        let (mut sound, mut faulty) = (0, 0);
        loop {
            let piece = match pieces.next().await? {
                Next::Piece(piece) => piece,
                Next::SourceEnded(_) => continue,
                Next::AllEnded => break,
            };
            let checked = check::check(&piece);
            sound += checked.sound_lines;
            for fault in checked.faults {
                faulty += 1;
                let name = &names[piece.source];
                output::complain(format_args!(
                    "{name}:{}:{}: {}",
                    fault.line, fault.column, fault.message
                ));
                if self.max_errors.is_some_and(|max| faulty > max) {
                    anyhow::bail!("more than {} lines are wrong", faulty - 1);
                }
            }
        }
        if faulty > 0 {
            anyhow::bail!("{faulty} of {} lines are wrong", sound + faulty);
        }
        if !self.quiet {
            let lines = progress::counted(sound, "line", "lines");
            output::complain(format_args!("  {lines}, nothing is wrong"));
        }
        Ok(())
    }
}

/// Words behind the line protocol that look like options of this command: they were meant as such.
fn misplaced_options(words: &[String]) -> Vec<&str> {
    let command = Options::augment_args(clap::Command::new("write"));
    let is_option = |word: &str| {
        let name = word.split('=').next().unwrap_or(word);
        command.get_arguments().any(|argument| {
            let long = argument
                .get_long()
                .is_some_and(|long| name.strip_prefix("--") == Some(long));
            let short = argument.get_short().is_some_and(|short| {
                name.strip_prefix('-')
                    .is_some_and(|rest| rest.chars().eq([short]))
            });
            long || short
        })
    };
    let behind = words.iter().skip(1).map(String::as_str);
    behind.filter(|word| is_option(word)).collect()
}

/// How long a request is tried again when nobody says.
const RETRY_TIMEOUT: Duration = Duration::from_secs(300);

/// Where a command that can be run again began, and where it notes how far it got.
struct Resumption {
    checkpoint: Checkpoint,
    /// Name in the checkpoint and identity, one for each source.
    files: Vec<(String, Identity)>,
    reached: Vec<Reached>,
}

/// How a write ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Every line is written or refused.
    Complete,
    Interrupted,
}

/// A write under way.
struct Run<'a> {
    options: &'a Options,
    clock: &'a SystemClock,
    shows_progress: bool,
    style: Style,
    sources: Vec<Source>,
    /// `None` when a source does not tell its size.
    raw_bytes_all: Option<u64>,
    statistics: Statistics,
    rates: Rates,
    /// Written by this run, as it was before unpacking.
    raw_bytes: u64,
    refused: u64,
    ledger: Ledger,
    errors_file: Option<ErrorsFile>,
    resumption: Option<Resumption>,
    saved_at: Duration,
}

impl Run<'_> {
    async fn write_all(
        &mut self,
        pieces: &mut Pieces,
        delivery: &Delivery<'_>,
    ) -> anyhow::Result<Ended> {
        let mut signals = Signals::new()?;
        let mut ticks = tokio::time::interval(TICK);
        let mut under_way = FuturesUnordered::new();
        let mut under_way_bytes = 0;
        let mut begun_bytes = 0;
        let mut ended = false;
        while !(ended && under_way.is_empty()) {
            let has_room = under_way.len() < self.options.max_concurrent_requests
                && under_way_bytes < UNDER_WAY_BYTES_MAX;
            let wants_more = has_room && !ended;
            let pause = self.pause(begun_bytes);
            tokio::select! {
                Some(delivered) = under_way.next(), if !under_way.is_empty() => {
                    let delivered: Delivered = delivered?;
                    under_way_bytes -= delivered.piece.text.len();
                    self.accept(delivered)?;
                }
                next = pieces.next(), if wants_more && pause.is_zero() => match next? {
                    Next::Piece(piece) => {
                        under_way_bytes += piece.text.len();
                        begun_bytes += piece.text.len() as u64;
                        let ticket = self.ledger.begin(piece.source, piece.end);
                        under_way.push(delivery.deliver(ticket, piece));
                    }
                    Next::SourceEnded(source) => self.ledger.end_source(source),
                    Next::AllEnded => ended = true,
                },
                () = tokio::time::sleep(pause), if wants_more && !pause.is_zero() => {}
                () = signals.received() => return Ok(Ended::Interrupted),
                _ = ticks.tick() => {
                    self.draw(delivery, pieces);
                    if self.clock.monotonic().saturating_sub(self.saved_at) >= SAVE_INTERVAL {
                        self.save()?;
                    }
                }
            }
        }
        Ok(Ended::Complete)
    }

    /// How long to wait before more is begun, for the rate to be kept.
    fn pause(&self, begun_bytes: u64) -> Duration {
        match self.options.rate_limit {
            Some(rate) => {
                let due = Duration::from_secs_f64(begun_bytes as f64 / rate as f64);
                due.saturating_sub(self.clock.monotonic())
            }
            None => Duration::ZERO,
        }
    }

    fn accept(&mut self, delivered: Delivered) -> anyhow::Result<()> {
        let Delivered {
            ticket,
            piece,
            mut refused,
        } = delivered;
        refused.sort_by_key(|line| line.span.start);
        let name = self.sources[piece.source].name();
        let (mut counted_to, mut number) = (0, piece.start.lines + 1);
        if let Some(file) = &mut self.errors_file {
            for line in &refused {
                number += newlines(&piece.text[counted_to..line.span.start]);
                counted_to = line.span.start;
                file.add(&name, number, &piece.text[line.span.clone()], &line.reason)?;
            }
            if !refused.is_empty() {
                file.flush()?;
            }
        }
        let refused_count = refused.len() as u64;
        let refused_bytes: usize = refused.iter().map(|line| line.span.len()).sum();
        self.refused += refused_count;
        self.raw_bytes += piece.raw_bytes;
        self.statistics.add(
            lines_in(&piece.text).saturating_sub(refused_count),
            (piece.text.len() - refused_bytes) as u64,
        );
        // Only now is every line of it either written or kept.
        self.ledger.written(ticket);
        if !self.shows_progress && !self.options.quiet {
            output::complain(self.statistics.line(self.clock.monotonic()));
        }
        match self.options.max_errors {
            Some(max) if self.refused > max => anyhow::bail!(
                "{} lines were refused, more than --max-errors {max}; they are in {}",
                self.refused,
                self.errors_place()
            ),
            _ => Ok(()),
        }
    }

    fn errors_place(&self) -> String {
        let path = self.errors_file.as_ref().map(ErrorsFile::path);
        path.map_or_else(String::new, |path| path.display().to_string())
    }

    fn view(&mut self, delivery: &Delivery<'_>, pieces: &Pieces) -> View {
        let elapsed = self.clock.monotonic();
        let counts = [self.statistics.lines, self.statistics.bytes, self.raw_bytes];
        let done = pieces.raw_skipped() + self.raw_bytes;
        View {
            statistics: self.statistics,
            elapsed,
            rates: self.rates.add(elapsed, counts),
            raw_bytes: self.raw_bytes_all.map(|all| (done, all)),
            sources_done: self.ledger.sources_done(),
            sources: self.sources.len(),
            retries: delivery.retries.get(),
            refused: self.refused,
            trouble: delivery.trouble.borrow().clone(),
        }
    }

    fn draw(&mut self, delivery: &Delivery<'_>, pieces: &Pieces) {
        if !self.shows_progress {
            return;
        }
        let width = terminal_size::terminal_size_of(std::io::stderr());
        let width = width.map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0));
        let view = self.view(delivery, pieces);
        let (bar, text) = progress::line(&view, width);
        output::redraw(format_args!("{}{text}", self.style.good(&bar)));
    }

    /// Notes on disk how far it got.
    fn save(&mut self) -> anyhow::Result<()> {
        self.saved_at = self.clock.monotonic();
        let Some(resumption) = &mut self.resumption else {
            return Ok(());
        };
        for ((name, identity), reached) in resumption.files.iter().zip(self.ledger.reached()) {
            let progress =
                checkpoint::Progress::new(identity.clone(), reached.position, reached.is_done);
            resumption.checkpoint.set(name, progress);
        }
        resumption.checkpoint.save()
    }

    /// Tells how it ended, and leaves what is needed to go on.
    fn finish(
        mut self,
        delivery: &Delivery<'_>,
        pieces: &Pieces,
        outcome: anyhow::Result<Ended>,
    ) -> anyhow::Result<()> {
        if self.shows_progress {
            self.draw(delivery, pieces);
            let summary = progress::summary(&self.view(delivery, pieces));
            output::redraw("");
            let told = match outcome {
                Ok(Ended::Complete) => self.style.good("Written"),
                Ok(Ended::Interrupted) | Err(_) => self.style.alarming("Stopped"),
            };
            output::complain(format_args!("{told}: {summary}"));
        }
        match outcome {
            Ok(Ended::Complete) => {}
            Ok(Ended::Interrupted) => return Err(self.interrupted()),
            Err(failure) => return Err(self.failure(failure)),
        }
        if let Some(resumption) = self.resumption.take() {
            resumption.checkpoint.remove()?;
        }
        if self.refused > 0 {
            let (noun, verb) = match self.refused {
                1 => ("line", "was"),
                _ => ("lines", "were"),
            };
            anyhow::bail!(
                "{} {noun} {verb} refused and kept in {}; all others are written",
                self.refused,
                self.errors_place()
            );
        }
        Ok(())
    }

    fn interrupted(&mut self) -> anyhow::Error {
        match self.resumption {
            Some(_) => self.failure(anyhow::anyhow!("interrupted")),
            None => anyhow::anyhow!(
                "interrupted after {} lines; the same command begins anew, which does no harm: the same points twice are the same points once. \
                 With --resume it would go on",
                self.statistics.lines
            ),
        }
    }

    /// A failure, with where the same command will go on.
    fn failure(&mut self, failure: anyhow::Error) -> anyhow::Error {
        if self.resumption.is_none() {
            return failure;
        }
        if let Err(fault) = self.save() {
            return anyhow::anyhow!("{failure}; moreover, {fault}");
        }
        let reached = self.ledger.reached().iter().zip(&self.sources);
        let first = reached.into_iter().find(|(reached, _)| !reached.is_done);
        let place = first.map_or_else(String::new, |(reached, source)| {
            let line = reached.position.lines;
            format!(" up to line {line} of {}", source.name())
        });
        anyhow::anyhow!("{failure}; all is written{place}, the same command goes on there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_behind_the_lines_are_noticed() {
        let words = |text: &str| -> Vec<String> { text.split('|').map(str::to_string).collect() };
        for (given, expected) in [
            ("cpu a=1", &[][..]),
            ("--database", &[]),
            ("cpu a=1|--precision|s", &["--precision"]),
            ("cpu a=1|-d|x|--token=y", &["-d", "--token=y"]),
            ("cpu a=1|--unknown|-|--|-5", &[]),
        ] {
            assert_eq!(misplaced_options(&words(given)), expected, "{given}");
        }
        assert!(misplaced_options(&[]).is_empty());
    }
}
