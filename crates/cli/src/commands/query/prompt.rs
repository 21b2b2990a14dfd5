//! The prompt of `query`: statements typed one after the other, with history, completion and a few commands of its own.
//!
//! Results go to stdout as ever; row counts, times and failures to stderr. What is typed is kept in `~/.influxdb3_history`, which nobody else may
//! read, but never a line that holds a token. Not here: one query from end to end (`query`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::TryStreamExt;
use reqwest::Method;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use server::{Clock, SystemClock};

use super::Question;
use super::completion::{self, FORMATS, Names};
use super::rows::RowCounter;
use super::statements;
use crate::client::{Body, Client, ClientError, Response};
use crate::output::{self, Format, OutputOptions};

const HISTORY_FILE: &str = ".influxdb3_history";
const HISTORY_LINES_MAX: usize = 10_000;

/// How every token begins; what holds one is not kept.
const TOKEN_START: &str = "apiv3_";

/// Names that were asked for longer ago than this are asked for again.
const NAMES_AGE_MAX: Duration = Duration::from_secs(60);
/// The prompt does not wait longer for them.
const NAMES_PATIENCE: Duration = Duration::from_secs(1);

const DATABASES_PATH: &str = "/api/v3/configure/database";

const HELP: &str = "\
  statement;      runs when a line ends with a semicolon; Ctrl-C stops it
  \\d              tables
  \\d TABLE        columns of a table
  \\l              databases
  \\c DATABASE     go to another database
  \\f FORMAT       pretty, json, jsonl or csv
  \\wide           let tables be wider than the terminal, or not
  \\timing         tell how long queries take, or not
  \\q              leave, as Ctrl-D does
  Tab completes keywords, tables and columns; Ctrl-R searches what was typed before";

/// Runs until the user leaves.
pub(crate) async fn run(
    client: &Client,
    mut question: Question,
    mut output: OutputOptions,
) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let mut editor = editor()?;
    let history = History::open(&mut editor);
    let mut names_at: Option<Duration> = None;
    let mut shows_time = true;
    output::complain(format_args!(
        "database {}; \\? tells what there is, \\q leaves",
        question.database
    ));
    loop {
        let age = names_at.map(|at| clock.monotonic().saturating_sub(at));
        if age.is_none_or(|age| age > NAMES_AGE_MAX) {
            // Nobody waits long for the sake of completion.
            let asked = tokio::time::timeout(NAMES_PATIENCE, names(client, &question.database));
            if let (Ok(Ok(names)), Some(helper)) = (asked.await, editor.helper_mut()) {
                helper.names = names;
            }
            names_at = Some(clock.monotonic());
        }
        let line = match editor.readline(&format!("{}> ", question.database)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(fault) => anyhow::bail!("cannot read from the terminal: {fault}"),
        };
        let typed = line.trim();
        if typed.is_empty() {
            continue;
        }
        history.add(&mut editor, typed);
        let Some(command) = typed.strip_prefix('\\') else {
            for statement in statements::split(typed) {
                let asked = question.ask(client, statement, output.format);
                if !show(&clock, asked, &output, shows_time).await {
                    break;
                }
            }
            // It may have made a table.
            if !typed.to_ascii_lowercase().starts_with("select") {
                names_at = None;
            }
            continue;
        };
        let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
        match (name, argument.trim().trim_end_matches(';')) {
            ("q", "") => return Ok(()),
            ("?", "") => output::complain(HELP),
            ("d", table) => {
                names_at = None;
                let sql = match table {
                    "" => TABLES.to_string(),
                    table => columns_of(table),
                };
                let asked = client.sql(&question.database, &sql, output.format);
                show(&clock, asked, &output, false).await;
            }
            ("l", "") => {
                let parameters = [("format", output.format.wire_name())];
                let asked = client.send(Method::GET, DATABASES_PATH, &parameters, Body::Empty);
                show(&clock, asked, &output, false).await;
            }
            ("c", database) if !database.is_empty() => {
                // An unknown database is told of now, not at the next statement.
                match client.sql(database, "SELECT 1", Format::Json).await {
                    Ok(_) => {
                        question.database = database.to_string();
                        names_at = None;
                    }
                    Err(fault) => output::complain(fault),
                }
            }
            ("f", format) => match FORMATS.iter().find(|(known, _)| *known == format) {
                Some((_, format)) => output.format = *format,
                None => {
                    let known = FORMATS.map(|(name, _)| name).join(", ");
                    output::complain(format_args!("unknown format {format:?}: there are {known}"));
                }
            },
            ("timing", "") => {
                shows_time = !shows_time;
                let state = if shows_time { "on" } else { "off" };
                output::complain(format_args!("timing is {state}"));
            }
            ("wide", "") => {
                output.wide = !output.wide;
                let state = match output.wide {
                    true => "may be wider than the terminal",
                    false => "fit the terminal",
                };
                output::complain(format_args!("tables {state}"));
            }
            _ => output::complain(format_args!(
                "unknown command {typed}: \\? tells what there is"
            )),
        }
    }
}

/// Prints what comes; false when it failed or was stopped.
async fn show(
    clock: &SystemClock,
    asked: impl Future<Output = Result<Response, ClientError>>,
    output: &OutputOptions,
    shows_time: bool,
) -> bool {
    let started = clock.monotonic();
    let mut counter = RowCounter::new(output.format);
    let printed = async {
        let response = asked.await?;
        let body = response
            .stream()
            .inspect_ok(|chunk| counter.add(chunk.as_ref()));
        output.copy(body).await
    };
    let outcome = tokio::select! {
        outcome = printed => outcome,
        // Dropping the request closes its connection, and with that the server stops the query.
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped")),
    };
    match outcome {
        Ok(()) => {
            let count = counter.count();
            let noun = if count == 1 { "row" } else { "rows" };
            let elapsed = clock.monotonic().saturating_sub(started);
            match shows_time {
                true => output::complain(format_args!("{count} {noun} in {elapsed:.1?}")),
                false => output::complain(format_args!("{count} {noun}")),
            }
            true
        }
        Err(fault) => {
            output::complain(fault);
            false
        }
    }
}

const TABLES: &str = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'iox' ORDER BY table_name";

fn columns_of(table: &str) -> String {
    let name = table.trim_matches('"').replace('\'', "''");
    format!(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = '{name}' ORDER BY ordinal_position"
    )
}

/// What completion knows of a database.
async fn names(client: &Client, database: &str) -> Result<Names, ClientError> {
    #[derive(serde::Deserialize)]
    struct Column {
        table_name: String,
        column_name: String,
    }
    #[derive(serde::Deserialize)]
    struct Database {
        #[serde(rename = "iox::database")]
        name: String,
    }

    let sql =
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'iox'";
    let columns: Vec<Column> = client
        .sql(database, sql, Format::Json)
        .await?
        .json()
        .await?;
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for column in columns {
        tables
            .entry(column.table_name)
            .or_default()
            .push(column.column_name);
    }
    // A token may know its own database and no list of them.
    let listed = client
        .send(
            Method::GET,
            DATABASES_PATH,
            &[("format", "json")],
            Body::Empty,
        )
        .await;
    let databases: Vec<Database> = match listed {
        Ok(response) => response.json().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    Ok(Names {
        databases: databases
            .into_iter()
            .map(|database| database.name)
            .collect(),
        tables,
    })
}

type Prompt = Editor<Completion, FileHistory>;

fn editor() -> anyhow::Result<Prompt> {
    let fault = |fault| anyhow::anyhow!("cannot use this terminal: {fault}");
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)
        .map_err(fault)?
        .completion_type(CompletionType::List)
        .history_ignore_space(true)
        .build();
    let mut editor = Editor::with_config(config).map_err(fault)?;
    editor.set_helper(Some(Completion {
        names: Names::default(),
    }));
    Ok(editor)
}

/// What was typed before, in a file; without a home there is none.
struct History {
    path: Option<PathBuf>,
}

impl History {
    fn open(editor: &mut Prompt) -> Self {
        let path = std::env::home_dir().map(|home| home.join(HISTORY_FILE));
        let Some(path) = path else {
            return Self { path };
        };
        let opened = make_private(&path).map_err(ReadlineError::from);
        if let Err(fault) = opened.and_then(|()| editor.load_history(&path)) {
            output::complain(format_args!(
                "what is typed is not kept: {}: {fault}",
                path.display()
            ));
            return Self { path: None };
        }
        Self { path: Some(path) }
    }

    fn add(&self, editor: &mut Prompt, typed: &str) {
        if !may_be_kept(typed) {
            return;
        }
        let added = editor.add_history_entry(typed);
        let Some(path) = &self.path else {
            return;
        };
        if added.is_ok_and(|is_new| is_new)
            && let Err(fault) = editor.append_history(path)
        {
            output::complain(format_args!("cannot keep {}: {fault}", path.display()));
        }
    }
}

fn may_be_kept(typed: &str) -> bool {
    !typed.contains(TOKEN_START)
}

/// The file exists afterwards, and only its owner can read it.
fn make_private(path: &std::path::Path) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        options.mode(0o600);
        let file = options.open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    options.open(path).map(drop)
}

/// What the editor asks while a line is typed.
struct Completion {
    names: Names,
}

impl Helper for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completion::candidates(&line[..pos], &self.names))
    }
}

impl Validator for Completion {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let typed = context.input();
        let is_whole = typed.trim_start().starts_with('\\') || statements::is_complete(typed);
        Ok(match is_whole {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_kept() {
        assert!(may_be_kept("SELECT 1;"));
        assert!(!may_be_kept("\\c apiv3_abc"));
    }

    #[test]
    fn names_of_tables_are_quoted() {
        assert!(columns_of("it's").contains("table_name = 'it''s' "));
        assert!(columns_of("\"Cpu\"").contains("table_name = 'Cpu' "));
    }
}
