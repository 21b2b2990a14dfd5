//! What commands print: results to stdout, everything else to stderr, and the questions they ask.
//!
//! The only module that writes to the standard streams. A reader that went away (`| head`) ends a command quietly.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use futures::{Stream, StreamExt};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::client::{Client, ClientError, ConnectionOptions, DatabaseOption};
use crate::environment::Environment;
use crate::pretty_table;

/// Where a server tells of itself as a whole.
pub(crate) const INTERNAL_DATABASE: &str = "_internal";

/// How the server shall render rows (spec/cli.md §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub(crate) enum Format {
    Pretty,
    Json,
    Jsonl,
    Csv,
    Parquet,
}

impl Format {
    /// The name in requests.
    pub(crate) fn wire_name(self) -> &'static str {
        match self {
            Self::Pretty => "pretty",
            Self::Json => "json",
            Self::Jsonl => "json_lines",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Where a rendered result goes.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputOptions {
    /// How to render the rows
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    pub(crate) format: Format,

    /// Write the result to this file instead of the standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<std::path::PathBuf>,

    /// Let tables be wider than the terminal
    #[arg(long)]
    pub(crate) wide: bool,
}

impl OutputOptions {
    /// Errors when the result would fill a terminal with binary data; to be asked before the request is sent.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.format == Format::Parquet && self.output.is_none() && io::stdout().is_terminal() {
            anyhow::bail!(
                "cannot write parquet to a terminal, use `--output <file>` or pipe the output"
            );
        }
        Ok(())
    }

    /// How wide a table may be; `None` when it is to be passed on as it comes.
    fn table_width(&self) -> Option<usize> {
        let is_seen = self.format == Format::Pretty && !self.wide && io::stdout().is_terminal();
        let size = is_seen.then(|| terminal_size::terminal_size_of(io::stdout()));
        size.flatten().map(|(width, _)| usize::from(width.0))
    }

    /// Prints what a statement finds in a database.
    pub(crate) async fn list(
        &self,
        client: &Client,
        database: &str,
        sql: &str,
    ) -> anyhow::Result<()> {
        self.check()?;
        let response = client.sql(database, sql, self.format).await?;
        self.copy(response.stream()).await
    }

    /// Copies a response body to its destination as it arrives; text on stdout is followed by one newline.
    pub(crate) async fn copy<B: AsRef<[u8]>>(
        &self,
        body: impl Stream<Item = Result<B, ClientError>>,
    ) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => copy_to_file(body, path).await,
            None if self.format == Format::Parquet => {
                unless_reader_left(copy_stream(body, &mut io::stdout()).await?)
            }
            None => match self.table_width() {
                Some(width) => {
                    let mut table = Vec::new();
                    // Memory takes everything.
                    let _ = copy_stream(body, &mut table).await?;
                    print(pretty_table::fit(&String::from_utf8_lossy(&table), width))
                }
                None => copy_line(body).await,
            },
        }
    }

    /// A table as it fits where it goes.
    pub(crate) fn fitted(&self, table: String) -> String {
        match self.table_width() {
            Some(width) if self.output.is_none() => pretty_table::fit(&table, width),
            _ => table,
        }
    }
}

/// What a statement finds in the database that is named.
#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseListing {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    database: DatabaseOption,

    #[command(flatten)]
    output: OutputOptions,
}

impl DatabaseListing {
    pub(crate) async fn print(&self, sql: &str) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let database = &self.database.database_name;
        self.output.list(&client, database, sql).await
    }
}

/// Copies a body to stdout as it arrives, followed by one newline.
pub(crate) async fn copy_line<B: AsRef<[u8]>>(
    body: impl Stream<Item = Result<B, ClientError>>,
) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    let written = copy_stream(body, &mut stdout).await?;
    let finished = written.and_then(|()| stdout.write_all(b"\n").and_then(|()| stdout.flush()));
    unless_reader_left(finished)
}

/// Makes a file of a body as it arrives.
pub(crate) async fn copy_to_file<B: AsRef<[u8]>>(
    body: impl Stream<Item = Result<B, ClientError>>,
    path: &Path,
) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path)
        .with_context(|| format!("cannot create {}", path.display()))
        .map_err(flatten)?;
    let written = copy_stream(body, &mut file).await?;
    written
        .with_context(|| format!("cannot write {}", path.display()))
        .map_err(flatten)
}

/// The outer error is the server's, the inner one the destination's.
async fn copy_stream<B: AsRef<[u8]>>(
    body: impl Stream<Item = Result<B, ClientError>>,
    destination: &mut impl Write,
) -> Result<io::Result<()>, ClientError> {
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        if let Err(fault) = destination.write_all(chunk?.as_ref()) {
            return Ok(Err(fault));
        }
    }
    Ok(destination.flush())
}

/// One line of result.
pub(crate) fn print(line: impl fmt::Display) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    unless_reader_left(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))
}

/// A result to stdout, or into a file when there is one.
pub(crate) fn print_to(path: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match path {
        Some(path) => std::fs::write(path, format!("{text}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
            .map_err(flatten),
        None => print(text),
    }
}

/// One line that is not a result. Nobody is told when even this cannot be written.
pub(crate) fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Puts a line that is no result in the place of the one before; it stays until the next such line, or an empty one.
pub(crate) fn redraw(line: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{line}\u{1b}[K").and_then(|()| stderr.flush());
}

/// A warning before logging is set up (spec/cli.md §1.4).
pub(crate) fn early_warning(target: &str, message: &str) {
    let mut time = String::new();
    // The clock formats into a string, which cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let level = match io::stderr().is_terminal() {
        true => "\u{1b}[33m WARN\u{1b}[0m",
        false => " WARN",
    };
    complain(format_args!("{time} {level} {target}: {message}"));
}

/// Where a question appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    OnStdout,
    OnStderr,
}

/// Asks a question and returns the trimmed line that is typed; empty at the end of the input.
pub(crate) fn ask(question: &str, asked: Asked) -> anyhow::Result<String> {
    match asked {
        Asked::OnStdout => print(question)?,
        Asked::OnStderr => complain(question),
    }
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")
        .map_err(flatten)?;
    Ok(answer.trim().to_string())
}

/// Asks a question that must be answered with yes, on stderr; any other answer is an error.
pub(crate) fn confirm(question: &str) -> anyhow::Result<()> {
    let question = format!("{question} Enter 'yes' or 'y' to confirm");
    let answer = ask(&question, Asked::OnStderr)?.to_ascii_lowercase();
    match answer.as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Unconfirmed.into()),
    }
}

/// Asks whether `what` is to be deleted.
pub(crate) fn confirm_deletion(what: &str) -> anyhow::Result<()> {
    confirm(&format!("Are you sure you want to delete {what}?"))
}

/// A question was not answered with yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unconfirmed;

impl fmt::Display for Unconfirmed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Cannot proceed without confirmation")
    }
}

impl std::error::Error for Unconfirmed {}

/// Text for stdout with emphasis when somebody looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    enabled: bool,
}

impl Style {
    /// Escape sequences only on a terminal, and not when `NO_COLOR` asks for none.
    pub(crate) fn of_stdout(environment: &Environment) -> Self {
        Self {
            enabled: io::stdout().is_terminal() && !environment.refuses_color(),
        }
    }

    /// The same for what goes to stderr.
    pub(crate) fn of_stderr(environment: &Environment) -> Self {
        Self {
            enabled: io::stderr().is_terminal() && !environment.refuses_color(),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn underlined(self, text: &str) -> String {
        self.wrap("4", text)
    }

    pub(crate) fn title(self, text: &str) -> String {
        self.wrap("1;4", text)
    }

    pub(crate) fn alarming(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        match self.enabled {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        }
    }
}

/// An error as one line with its causes, so that `{error}` says everything.
pub(crate) fn flatten(error: anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn unless_reader_left(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other
            .context("cannot write to the standard output")
            .map_err(flatten),
    }
}
