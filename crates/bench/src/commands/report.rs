//! `influxdb3-bench report`: every measurement against every server, and a page about them.
//!
//! Servers are started here, one after the other, each in folders of its own. What a step finds is kept at once in `records.jsonl` beside the page,
//! so that a page can be made again (`--from`), and so that a series that is stopped loses nothing. Not here: what is measured (`suite`).

use crate::client::ServerKind;
use crate::engine::{Engine, Server};
use crate::machine;
use crate::record::Record;
use crate::report::page::{self, Page};
use crate::suite::{self, Scale, Step};
use crate::{Error, run_words, with_sources};
use std::path::{Path, PathBuf};
use std::process::Command;

const DATABASE: &str = "benchmark";
const RECORDS_FILE: &str = "records.jsonl";
const PAGE_FILE: &str = "report.md";

/// The script that asks engines within a process; it is written beside the data, because an installed program has no other place for it.
const IN_PROCESS_SCRIPT: &str = include_str!("../../others/in_process.py");

/// Measure everything and write a page about it
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// A server to measure: a program, or KIND=PROGRAM (influxdb3, influxdb1, victoriametrics); the first is ours
    #[arg(long = "engine", required_unless_present = "from")]
    engines: Vec<Engine>,

    /// Engines that ask our Parquet files from within a Python process: duckdb, chdb
    #[arg(long, value_delimiter = ',', requires = "python")]
    in_process: Vec<String>,

    /// Python that has these engines and pyarrow
    #[arg(long)]
    python: Option<PathBuf>,

    /// How much is measured: standard, or smoke, which only shows that everything works
    #[arg(long, default_value = "standard")]
    scale: Scale,

    /// Folder for data while it is measured, on the disk that matters; emptied afterwards
    #[arg(long)]
    work_folder: Option<PathBuf>,

    /// Folder for the page, its plots and its records
    #[arg(long, default_value = "docs/performance")]
    output: PathBuf,

    /// Folder of an earlier report, to make its page again without measuring; with --only, to measure a part of it again
    #[arg(long)]
    from: Option<PathBuf>,

    /// Measure only what this command is about, such as restart or load, and keep the rest of the earlier report
    #[arg(long, requires = "from", value_name = "COMMAND")]
    only: Option<String>,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    let earlier = match &options.from {
        Some(folder) => Some(Page::read(
            folder,
            Record::read(&folder.join(RECORDS_FILE))?,
        )?),
        None => None,
    };
    if let (Some(page), None) = (&earlier, &options.only) {
        return page.write(&options.output, PAGE_FILE);
    }
    std::fs::create_dir_all(&options.output)?;
    let records_path = std::path::absolute(options.output.join(RECORDS_FILE))?;
    if records_path.exists() {
        std::fs::remove_file(&records_path)?;
    }
    let work = match &options.work_folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            tempfile::tempdir_in(folder)?
        }
        None => tempfile::tempdir()?,
    };
    let mut page = earlier.unwrap_or_else(|| Page {
        facts: machine::facts(work.path())
            .into_iter()
            .map(|(name, fact)| (name.to_owned(), fact))
            .collect(),
        scale: options.scale.to_string(),
        ..Page::default()
    });
    page.command.push(command_line());
    if let Some(only) = &options.only {
        page.forget(only, options.engines.len());
        for record in &page.records {
            record.append(&records_path)?;
        }
    }
    for (number, engine) in options.engines.iter().enumerate() {
        let label = match (number, engine.kind) {
            (0, _) => page::OURS.to_owned(),
            (_, kind) => kind.to_string(),
        };
        if !page.engines.iter().any(|(known, ..)| *known == label) {
            page.engines
                .push((label.clone(), engine.version(), engine.command_line()));
        }
        let mut runner = Runner {
            engine,
            label: &label,
            records_path: &records_path,
            options: &options,
            work: work.path(),
            folder: None,
            server: None,
            log: &mut page.commands,
        };
        let steps = options.scale.steps(engine.kind);
        for step in suite::only(steps, options.only.as_deref()) {
            if let Err(error) = runner.step(&step).await {
                let told = format!("{label}: {step}: {}", with_sources(&*error));
                eprintln!("influxdb3-bench: {told}");
                page.failures.push(told);
            }
        }
        // Whoever stops this while the next server is measured has a page about those before.
        page.records = Record::read(&records_path)?;
        page.write(&options.output, PAGE_FILE)?;
    }
    page.failures.extend(page.differences());
    page.write(&options.output, PAGE_FILE)?;
    match page.failures.len() {
        0 => Ok(()),
        count => Err(format!(
            "{count} steps failed, see {}: {}",
            options.output.join(PAGE_FILE).display(),
            page.failures.join("; ")
        )
        .into()),
    }
}

/// The arguments of this program, without the folders that are of this machine alone.
fn command_line() -> String {
    let words = std::env::args()
        .skip(1)
        .map(|word| match word.rsplit_once('/') {
            Some((_, name)) if word.starts_with('/') => name.to_owned(),
            _ => word,
        });
    words.collect::<Vec<_>>().join(" ")
}

/// Takes the steps for one engine.
struct Runner<'a> {
    engine: &'a Engine,
    label: &'a str,
    records_path: &'a Path,
    options: &'a Options,
    work: &'a Path,
    folder: Option<tempfile::TempDir>,
    server: Option<Server>,
    /// What was run, as it stands in the page.
    log: &'a mut Vec<String>,
}

impl Runner<'_> {
    async fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::NewFolder => {
                // A step before may have failed while its server ran.
                self.server = None;
                self.folder = Some(tempfile::tempdir_in(self.work)?);
                Ok(())
            }
            Step::Start => {
                self.server = None;
                self.server = Some(self.engine.start(self.folder()?, &[]).await?);
                Ok(())
            }
            Step::Stop => match self.server.take() {
                Some(server) => server.stop().await,
                None => Err("there is no server to stop".into()),
            },
            Step::Command(template) => {
                let shown = format!("influxdb3-bench {template}");
                if !self.log.contains(&shown) {
                    self.log.push(shown);
                }
                eprintln!("{}: influxdb3-bench {template}", self.label);
                let words = self.words(template)?;
                run_words(words).await
            }
            Step::InProcess => self.in_process().await,
        }
    }

    fn folder(&self) -> Result<&Path, Error> {
        let folder = self.folder.as_ref().ok_or("there is no folder yet")?;
        Ok(folder.path())
    }

    /// The words of a command, with what the server at hand is filled in.
    fn words(&self, template: &str) -> Result<Vec<String>, Error> {
        let server = || self.server.as_ref().ok_or("the server is not running");
        let mut words = vec!["influxdb3-bench".to_owned()];
        for word in template.split_whitespace() {
            match word {
                "{target}" => words.extend([
                    "--host".to_owned(),
                    server()?.url(),
                    "--database".to_owned(),
                    DATABASE.to_owned(),
                    "--server".to_owned(),
                    self.engine.kind.to_string(),
                    "--server-pid".to_owned(),
                    server()?.id().to_string(),
                ]),
                "{pid}" => words.push(server()?.id().to_string()),
                "{folder}" => words.push(server()?.data_folder().display().to_string()),
                "{engine}" => words.push(self.engine.to_string()),
                word => words.push(word.to_owned()),
            }
        }
        words.extend([
            "--label".to_owned(),
            self.label.to_owned(),
            "--record".to_owned(),
            self.records_path.display().to_string(),
        ]);
        Ok(words)
    }

    async fn in_process(&mut self) -> Result<(), Error> {
        let Some(python) = &self.options.python else {
            return Ok(());
        };
        if self.label != page::OURS || self.engine.kind != ServerKind::Influxdb3 {
            return Ok(());
        }
        let folder = self.folder()?.to_owned();
        let script = folder.join("in_process.py");
        std::fs::write(&script, IN_PROCESS_SCRIPT)?;
        let questions = folder.join("questions.jsonl");
        for (workload, kinds, count) in self.options.scale.questions() {
            let template = format!("query {workload} --tsbs {kinds} --count {count} --print");
            let mut words = vec!["influxdb3-bench".to_owned()];
            words.extend(template.split_whitespace().map(str::to_owned));
            if let Some(print) = words.last_mut() {
                *print += &format!("={}", questions.display());
            }
            run_words(words).await?;
            for engine in &self.options.in_process {
                let told = format!(
                    "influxdb3-bench {template} | python in_process.py {engine} {{folder}}/bench/dbs/1/0"
                );
                self.log.push(told);
                eprintln!("{engine}: {template}");
                let status = Command::new(python)
                    .arg(&script)
                    .arg(engine)
                    .arg("--questions")
                    .arg(&questions)
                    .arg("--record")
                    .arg(self.records_path)
                    .arg(folder.join("data/bench/dbs/*/*/*.parquet"))
                    .status()?;
                if !status.success() {
                    return Err(format!("{engine} ended with {status}").into());
                }
            }
        }
        Ok(())
    }
}
