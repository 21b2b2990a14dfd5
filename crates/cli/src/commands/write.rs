//! `write`: line protocol from an argument, a file or the standard input to the server, in pieces (spec/cli.md §7.5).
//!
//! The input is cut at line ends into requests, several of which are under way at once, in no order. The first failure
//! ends the command. Nothing goes to stdout; a line of statistics per finished request goes to stderr.

use std::io::{Cursor, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use reqwest::{Method, Url};
use server::{Clock, SystemClock};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::client::{Body, Client, ClientError, ConnectionOptions};
use crate::output;

/// Input gathered before it is cut into requests.
const READ_BYTES: usize = 4 << 20;

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

    /// Read line protocol from this file
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

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

fn parse_at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(0) => Err("value must be at least 1".to_string()),
        parsed => parsed.map_err(|cause| cause.to_string()),
    }
}

impl Options {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let input = self.input().await?;
        let mut requests = Requests::new(input, self.max_request_size);
        let client = Client::new(&self.connection, self.write_host.as_ref())?;
        let clock = SystemClock::new();
        let mut statistics = Statistics::default();
        let mut under_way = FuturesUnordered::new();
        let mut ended = false;
        while !(ended && under_way.is_empty()) {
            let has_room = under_way.len() < self.max_concurrent_requests;
            tokio::select! {
                Some(sent) = under_way.next(), if !under_way.is_empty() => {
                    let lines: Bytes = sent?;
                    statistics.add(&lines);
                    if !self.quiet {
                        output::complain(statistics.line(clock.monotonic()));
                    }
                }
                next = requests.next(), if has_room && !ended => match next? {
                    Some(lines) => under_way.push(self.send(&client, lines)),
                    None => ended = true,
                },
            }
        }
        Ok(())
    }

    async fn input(&self) -> anyhow::Result<Box<dyn AsyncRead + Unpin>> {
        match (self.line_protocol.as_deref(), &self.file) {
            (Some([text]), _) if !text.is_empty() => {
                Ok(Box::new(Cursor::new(text.clone().into_bytes())))
            }
            (Some([] | [_]), _) => anyhow::bail!("no line protocol string provided"),
            (Some(_), _) => anyhow::bail!(
                "ensure that a single protocol line string is provided as the final argument, enclosed in quotes"
            ),
            (None, Some(path)) => match tokio::fs::File::open(path).await {
                Ok(mut file) => {
                    file.set_max_buf_size(READ_BYTES);
                    Ok(Box::new(file))
                }
                Err(cause) => anyhow::bail!("error reading file: {cause}"),
            },
            (None, None) if std::io::stdin().is_terminal() => anyhow::bail!(
                "No input from stdin detected, no string was passed in, and no file path was given"
            ),
            (None, None) => Ok(Box::new(tokio::io::stdin())),
        }
    }

    /// Sends one request and returns what it carried.
    async fn send(&self, client: &Client, lines: Bytes) -> Result<Bytes, ClientError> {
        let mut parameters = vec![("db", self.database_name.as_str())];
        parameters.extend(self.precision.as_deref().map(|unit| ("precision", unit)));
        if self.accept_partial {
            parameters.push(("accept_partial", "true"));
        }
        if self.no_sync {
            parameters.push(("no_sync", "true"));
        }
        let body = match self.gzip {
            true => {
                Body::Gzip(compressed(&lines).map_err(|cause| ClientError::Io(cause.to_string()))?)
            }
            false => Body::Text(lines.clone()),
        };
        client
            .send(Method::POST, "/api/v3/write_lp", &parameters, body)
            .await?;
        Ok(lines)
    }
}

fn compressed(lines: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines)?;
    encoder.finish().map(Bytes::from)
}

/// Cuts input into the lines of one request after the other.
struct Requests<R> {
    input: R,
    bytes_max: usize,
    /// Read and not yet given out.
    gathered: BytesMut,
    input_ended: bool,
}

impl<R: AsyncRead + Unpin> Requests<R> {
    fn new(input: R, bytes_max: usize) -> Self {
        Self {
            input,
            bytes_max,
            gathered: BytesMut::new(),
            input_ended: false,
        }
    }

    /// The next request's lines, with at least one character that is no blank. May be dropped while it waits.
    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if let Some(length) = self.cut() {
                let lines = self.gathered.split_to(length).freeze();
                if lines.iter().any(|byte| !byte.is_ascii_whitespace()) {
                    return Ok(Some(lines));
                }
            } else if self.input_ended {
                return Ok(None);
            } else {
                self.read().await?;
            }
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.gathered.reserve(READ_BYTES);
        let read = self
            .input
            .read_buf(&mut self.gathered)
            .await
            .map_err(|cause| anyhow::anyhow!("error reading file: {cause}"))?;
        self.input_ended = read == 0;
        Ok(())
    }

    /// How much of what is gathered is the next request; `None` when more must be read, or nothing is left.
    fn cut(&self) -> Option<usize> {
        let gathered = self.gathered.as_ref();
        if gathered.is_empty() {
            return None;
        }
        if self.input_ended && gathered.len() <= self.bytes_max {
            return Some(gathered.len());
        }
        if !self.input_ended && gathered.len() < READ_BYTES.min(self.bytes_max) {
            return None;
        }
        let (allowed, beyond) = gathered.split_at(self.bytes_max.min(gathered.len()));
        if let Some(last) = allowed.iter().rposition(|&byte| byte == b'\n') {
            return Some(last + 1);
        }
        let longer = beyond.iter().position(|&byte| byte == b'\n');
        match longer {
            Some(end) => Some(allowed.len() + end + 1),
            None => self.input_ended.then_some(gathered.len()),
        }
    }
}

/// What was written so far.
#[derive(Debug, Default)]
struct Statistics {
    requests: u64,
    lines: u64,
    bytes: u64,
}

impl Statistics {
    fn add(&mut self, lines: &[u8]) {
        self.requests += 1;
        self.lines += lines
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .count() as u64;
        self.bytes += lines.len() as u64;
    }

    /// `  1s 230ms: 2 requests (1.63 requests/sec), 10 lines (8 lines/s), 1.50KiB (1.22KiB/s)`
    fn line(&self, elapsed: Duration) -> String {
        let elapsed = Duration::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        let seconds = elapsed.as_secs_f64().max(0.001);
        let plural = if self.requests == 1 { "" } else { "s" };
        format!(
            "  {}: {} request{plural} ({:.2} requests/sec), {} lines ({:.0} lines/s), {} ({}/s)",
            humantime::format_duration(elapsed),
            self.requests,
            self.requests as f64 / seconds,
            self.lines,
            self.lines as f64 / seconds,
            size(self.bytes),
            size((self.bytes as f64 / seconds) as u64),
        )
    }
}

fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units
        .into_iter()
        .find(|&(unit_bytes, _)| bytes >= unit_bytes)
    {
        Some((unit_bytes, unit)) => format!("{:.2}{unit}", bytes as f64 / unit_bytes as f64),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_into(text: &str, bytes_max: usize) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let mut requests = Requests::new(text.as_bytes(), bytes_max);
        let mut found = Vec::new();
        while let Some(lines) = runtime
            .block_on(requests.next())
            .expect("memory is readable")
        {
            found.push(String::from_utf8(lines.to_vec()).expect("cut between lines"));
        }
        found
    }

    #[test]
    fn requests_end_at_line_ends() {
        assert_eq!(cut_into("", 10), Vec::<String>::new());
        assert_eq!(cut_into("\n \n", 1), Vec::<String>::new());
        assert_eq!(cut_into("a\nb\nc", 10), ["a\nb\nc"]);
        assert_eq!(cut_into("aa\nbb\ncc\n", 6), ["aa\nbb\n", "cc\n"]);
        assert_eq!(cut_into("aa\nbb\ncc", 5), ["aa\n", "bb\n", "cc"]);
        assert_eq!(
            cut_into("a very long line\nb\n", 4),
            ["a very long line\n", "b\n"]
        );
        assert_eq!(cut_into("a very long line", 4), ["a very long line"]);
        assert_eq!(cut_into("a\n\n\n\n\n\n", 2), ["a\n"]);
        let long = "x".repeat(1000) + "\n";
        let many = long.repeat(10_000);
        let found = cut_into(&many, 1 << 30);
        assert!(found.len() > 1 && found.iter().all(|lines| lines.ends_with('\n')));
        assert_eq!(found.concat(), many);
    }

    #[test]
    fn statistics() {
        let mut statistics = Statistics::default();
        statistics.add(b"a\nb\n");
        assert_eq!(
            statistics.line(Duration::from_micros(1_000_999)),
            "  1s: 1 request (1.00 requests/sec), 2 lines (2 lines/s), 4B (4B/s)"
        );
        statistics.add(&[b'x'; 3068]);
        assert_eq!(
            statistics.line(Duration::from_millis(2000)),
            "  2s: 2 requests (1.00 requests/sec), 3 lines (2 lines/s), 3.00KiB (1.50KiB/s)"
        );
        assert_eq!(size(2 << 20), "2.00MiB");
        assert_eq!(size(1 << 30), "1.00GiB");
    }
}
