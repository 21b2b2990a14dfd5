//! `bench query`: how long questions take, from the request to the last byte of the answer, and whether the answers are right.
//!
//! Answers are looked into when all have come, so that this does not take the server's processor while it is measured; if that would
//! take too much memory, the rest is looked into in between, and that time is taken off.

use crate::answer::{self, Answer, Contents, Shape};
use crate::client::{AskOptions, Asker, Client, ClientOptions};
use crate::latencies::{Latencies, ms};
use crate::queries::{Kind, Kinds, Question, Statement, Use};
use crate::record::{Record, RecordOptions};
use crate::workload::WorkloadOptions;
use crate::{Error, process, with_sources};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Ask questions, many of each type
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    client: ClientOptions,

    #[command(flatten)]
    ask: AskOptions,

    /// A query of your own in the language; the same each time
    #[arg(long, required_unless_present = "tsbs")]
    sql: Option<String>,

    /// TSBS types such as single-groupby-1-1-1, with commas between; `all` are those of cpu, `all-iot` those of iot. Each
    /// question has other hosts and times, among those that --hosts, --start and --end say are there
    #[arg(long, conflicts_with = "sql", value_delimiter = ',')]
    tsbs: Vec<Kinds>,

    #[command(flatten)]
    workload: WorkloadOptions,

    /// Draw windows on whole hours, so that servers whose buckets begin elsewhere give the same answer
    #[arg(long)]
    aligned: bool,

    /// How many questions of each type
    #[arg(long, default_value_t = 100)]
    count: usize,

    /// How many at the same time, each over a connection of its own
    #[arg(long, default_value_t = 1)]
    workers: usize,

    /// Questions each second, all workers together; how long one takes is counted from when it is due
    #[arg(long)]
    rate: Option<f64>,

    /// How many questions to ask first that do not count
    #[arg(long, default_value_t = 3)]
    warm_up: usize,

    /// Forget what the system has of files in memory before each type, and count its first question apart. Caches of the
    /// server itself stay
    #[arg(long)]
    cold: bool,

    /// Do not look into answers: neither rows nor checksum
    #[arg(long)]
    no_check: bool,

    /// Show the last answer
    #[arg(long)]
    show: bool,

    /// Print the questions in every language, as lines of JSON, and ask nothing; to a file if one is given
    #[arg(long, requires = "tsbs", num_args = 0..=1, require_equals = true, value_name = "FILE", default_missing_value = "-")]
    print: Option<PathBuf>,

    /// Process of the server, if on this machine, to see the CPU time it uses
    #[arg(long)]
    server_pid: Option<u32>,

    #[command(flatten)]
    record: RecordOptions,
}

/// A question as it is asked, and what its answer is to look like if somebody looks.
struct Asked {
    statement: Statement,
    shape: Option<Shape>,
}

/// Questions of one type.
struct Series {
    /// Series of the same name have the same questions, if the workload is the same.
    name: String,
    warm_up: Vec<Asked>,
    /// Those that count.
    asked: Arc<Vec<Asked>>,
}

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    if options.count == 0 {
        return Err("--count is 0: there is nothing to ask".into());
    }
    if options.workers == 0 {
        return Err("--workers is 0: nobody would ask".into());
    }
    if let Some(rate) = options
        .rate
        .filter(|rate| !rate.is_finite() || *rate <= 0.0)
    {
        return Err(format!("--rate is {rate}, and has to be above 0").into());
    }
    let kinds = || {
        options
            .tsbs
            .iter()
            .flat_map(|kinds| kinds.0.iter().copied())
    };
    if let Some(path) = &options.print {
        let mut lines = String::new();
        for kind in kinds() {
            for question in draw(kind, Use::Count, options.count, &options)? {
                lines += &format!("{}\n", question.to_json());
            }
        }
        if path == Path::new("-") {
            print!("{lines}");
            return Ok(());
        }
        return std::fs::write(path, lines)
            .map_err(|error| format!("cannot write {}: {error}", path.display()).into());
    }
    // All are drawn before the first is asked, so that a wrong option is told at once.
    let series: Vec<Series> = match &options.sql {
        Some(text) => vec![same_each_time(text, &options)],
        None => kinds()
            .map(|kind| drawn(kind, &options))
            .collect::<Result<_, _>>()?,
    };
    let client = Client::new(&options.client)?;
    for series in series {
        let record = measure(&client, &series, &options)
            .await
            .map_err(|error| format!("{}: {}", series.name, with_sources(&*error)))?;
        options.record.keep(&record)?;
    }
    Ok(())
}

fn draw(kind: Kind, use_: Use, count: usize, options: &Options) -> Result<Vec<Question>, Error> {
    let workload = &options.workload;
    let mut random = kind.random(workload.seed, use_);
    (0..count)
        .map(|_| kind.draw(workload, options.aligned, &mut random))
        .collect()
}

fn drawn(kind: Kind, options: &Options) -> Result<Series, Error> {
    let language = options.ask.language.language();
    let asked = |use_, count| -> Result<Vec<Asked>, Error> {
        draw(kind, use_, count, options)?
            .iter()
            .map(|question| {
                Ok(Asked {
                    statement: question.statement(language)?,
                    shape: (!options.no_check).then(|| question.shape()),
                })
            })
            .collect()
    };
    Ok(Series {
        name: kind.named(options.aligned),
        warm_up: asked(Use::WarmUp, options.warm_up)?,
        asked: Arc::new(asked(Use::Count, options.count)?),
    })
}

fn same_each_time(text: &str, options: &Options) -> Series {
    let asked = |count| -> Vec<Asked> {
        let asked = || Asked {
            statement: Statement::Text(text.to_owned()),
            shape: None,
        };
        std::iter::repeat_with(asked).take(count).collect()
    };
    Series {
        name: "query".to_owned(),
        warm_up: asked(options.warm_up),
        asked: Arc::new(asked(options.count)),
    }
}

/// Asks one series and says how it went.
async fn measure(client: &Client, series: &Series, options: &Options) -> Result<Record, Error> {
    let mut askers = Vec::with_capacity(options.workers);
    for _ in 0..options.workers {
        askers.push(Asker::new(client, &options.ask).await?);
    }
    let mut first = None;
    let mut answers = Vec::with_capacity(series.asked.len());
    if options.cold {
        drop_page_cache();
        let done = ask(&mut askers[0], &series.asked, 0).await?;
        first = Some(done.duration);
        answers.push(done);
    } else {
        for number in 0..series.warm_up.len() {
            let done = ask(&mut askers[0], &series.warm_up, number).await?;
            first.get_or_insert(done.duration);
        }
    }
    let apart = answers.len();

    let cpu_time = || options.server_pid.map(process::cpu_time).transpose();
    let cpu_before = cpu_time()?;
    let started = Instant::now();
    let next = Arc::new(AtomicUsize::new(apart));
    let kept_bytes = Arc::new(AtomicUsize::new(0));
    // One that fails ends the others.
    let mut workers = JoinSet::new();
    for asker in askers {
        let worker = Worker {
            asker,
            asked: series.asked.clone(),
            next: next.clone(),
            kept_bytes: kept_bytes.clone(),
            pace: options.rate.map(|rate| (started, apart, rate)),
            done: Vec::new(),
            paused: Duration::ZERO,
        };
        workers.spawn(worker.run());
    }
    let mut paused = Duration::ZERO;
    while let Some(worker) = workers.join_next().await {
        let (done, paused_by_worker) = worker??;
        answers.extend(done);
        paused += paused_by_worker;
    }
    let seconds = (started.elapsed().as_secs_f64() - paused.as_secs_f64() / options.workers as f64)
        .max(f64::MIN_POSITIVE);
    let cpu = match (cpu_before, cpu_time()?) {
        (Some(before), Some(after)) => Some(after.saturating_sub(before)),
        _ => None,
    };

    answers.sort_unstable_by_key(|done| done.number);
    let first = first.or_else(|| answers.first().map(|done| done.duration));
    let latencies = Latencies::of(answers.iter().skip(apart).map(|done| done.duration));
    let bytes: usize = answers.iter().map(|done| done.bytes).sum();
    let shown = match (&answers.last(), options.show) {
        (Some(done), true) => done.shown(),
        _ => None,
    };
    let contents = read_all(answers, &series.asked)?;
    let count = series.asked.len() - apart;

    let way = options.ask.language.name();
    let name = match way {
        "sql" => series.name.clone(),
        way => format!("{} {way}", series.name),
    };
    let mut record = options.record.start("query", &name);
    latencies.keep("", &mut record);
    record
        .text("language", way)
        .text("question", &series.name)
        .figure("queries", count as f64)
        .figure("workers", options.workers as f64)
        .figure("queries_per_s", count as f64 / seconds)
        .figure("bytes", bytes as f64 / series.asked.len() as f64);
    if way == "sql" {
        record.text("format", options.ask.format.name());
    }
    if let Some(first) = first {
        record.figure("first_ms", ms(first));
    }
    if let Some(cpu) = cpu {
        record.figure("cpu_ms", ms(cpu) / count.max(1) as f64);
    }
    if !contents.is_empty() {
        let rows: usize = contents.iter().map(|contents| contents.rows).sum();
        record.figure("rows", rows as f64 / contents.len() as f64);
        let checksums: Option<Vec<_>> = contents.iter().map(|contents| contents.checksum).collect();
        if let Some(checksums) = checksums {
            record.text("checksum", answer::of_answers(checksums).to_string());
        }
    }
    println!("{}", told(&record, &latencies));
    if let Some(shown) = shown {
        println!("{shown}");
    }
    Ok(record)
}

/// The record in a line for people.
fn told(record: &Record, latencies: &Latencies) -> String {
    let figure = |name: &str| record.figures.get(name).copied();
    let mut text = format!(
        "{}: {} queries, {:.1} per second, {:.0} bytes each",
        record.name,
        figure("queries").unwrap_or_default(),
        figure("queries_per_s").unwrap_or_default(),
        figure("bytes").unwrap_or_default(),
    );
    if let Some(rows) = figure("rows") {
        text += &format!(", {rows:.1} rows");
    }
    text += &format!(": {latencies}");
    if let Some(first_ms) = figure("first_ms") {
        text += &format!(", first {first_ms:.3} ms");
    }
    if let Some(cpu_ms) = figure("cpu_ms") {
        text += &format!("; server {cpu_ms:.3} ms of CPU time each");
    }
    if let Some(checksum) = record.texts.get("checksum") {
        text += &format!("; checksum {checksum}");
    }
    text
}

/// Answers of all workers together may take so much memory until they are looked into.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// One who asks, question after question, until all are taken.
struct Worker {
    asker: Asker,
    asked: Arc<Vec<Asked>>,
    /// The next question that nobody has taken.
    next: Arc<AtomicUsize>,
    kept_bytes: Arc<AtomicUsize>,
    /// When the first question is due, its number, and how many are due each second.
    pace: Option<(Instant, usize, f64)>,
    done: Vec<Done>,
    /// How long it looked into answers meanwhile.
    paused: Duration,
}

impl Worker {
    async fn run(mut self) -> Result<(Vec<Done>, Duration), Error> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.asked.len() {
                return Ok((self.done, self.paused));
            }
            let due = self.pace.map(|(started, first, rate)| {
                started + Duration::from_secs_f64((number - first) as f64 / rate)
            });
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            let late = due.map_or(Duration::ZERO, |due| due.elapsed());
            let mut done = ask(&mut self.asker, &self.asked, number).await?;
            done.duration += late;
            let kept_bytes = self.kept_bytes.fetch_add(done.bytes, Ordering::Relaxed);
            if kept_bytes + done.bytes > KEPT_BYTES_MAX {
                self.kept_bytes.fetch_sub(done.bytes, Ordering::Relaxed);
                let started = Instant::now();
                tokio::task::block_in_place(|| done.read(&self.asked))?;
                self.paused += started.elapsed();
            }
            self.done.push(done);
        }
    }
}

/// A question that was answered.
struct Done {
    number: usize,
    duration: Duration,
    bytes: usize,
    said: Said,
}

enum Said {
    Unread(Answer),
    /// Nothing if nobody wanted to know.
    Read(Option<Contents>),
}

impl Done {
    /// Replaces the answer by its contents.
    fn read(&mut self, asked: &[Asked]) -> Result<Option<Contents>, Error> {
        let asked_one = &asked[self.number];
        let contents = match (&self.said, &asked_one.shape) {
            (Said::Read(contents), _) => *contents,
            (Said::Unread(_), None) => None,
            (Said::Unread(answer), Some(shape)) => Some(
                answer
                    .read(shape)
                    .map_err(|error| self.named(asked, error))?,
            ),
        };
        self.said = Said::Read(contents);
        Ok(contents)
    }

    fn named(&self, asked: &[Asked], error: Error) -> Error {
        of_question(self.number, asked, error)
    }

    fn shown(&self) -> Option<String> {
        match &self.said {
            Said::Unread(answer) => Some(answer.body.shown()),
            Said::Read(_) => None,
        }
    }
}

async fn ask(asker: &mut Asker, asked: &[Asked], number: usize) -> Result<Done, Error> {
    let answer = asker
        .ask(&asked[number].statement)
        .await
        .map_err(|error| of_question(number, asked, error))?;
    Ok(Done {
        number,
        duration: answer.duration,
        bytes: answer.bytes,
        said: Said::Unread(answer),
    })
}

/// The error with the question that led to it.
fn of_question(number: usize, asked: &[Asked], error: Error) -> Error {
    let (text, count) = (asked[number].statement.text(), asked.len());
    let (number, error) = (number + 1, with_sources(&*error));
    format!("question {number} of {count}: {error}: {text}").into()
}

/// What all answers say, in the order of their questions; nothing if nobody wants to know.
fn read_all(answers: Vec<Done>, asked: &[Asked]) -> Result<Vec<Contents>, Error> {
    let mut all = Vec::with_capacity(answers.len());
    for mut done in answers {
        all.extend(done.read(asked)?);
    }
    Ok(all)
}

/// Has the system forget which parts of files it has in memory, if it lets this program do that; says which.
fn drop_page_cache() {
    let synced = std::process::Command::new("sync").status();
    let dropped = synced.and_then(|_| std::fs::write("/proc/sys/vm/drop_caches", "3"));
    match dropped {
        Ok(()) => eprintln!("the page cache was dropped; what the server itself keeps was not"),
        Err(error) => eprintln!(
            "the page cache stays, so the first question may find files in memory: cannot write /proc/sys/vm/drop_caches: {error}"
        ),
    }
}
