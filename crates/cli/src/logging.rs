//! The server's log: which events are kept, how a line looks, where it goes.
//!
//! Options: spec/server-config.md §8.9. Client commands log nothing. A destination that cannot be written any more
//! (a closed pipe) never harms the server.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

/// Added to filters that ask for everything, so that our own events are not drowned in the libraries' ones.
const NOISE_REDUCTION: &str = "reqwest=info,hyper=info,hyper_util=info,h2=info,object_store=info,datafusion=info,datafusion_optimizer=info,sqlparser=info";

/// Longest line in bytes, its end included; the rest is cut off.
const LINE_BYTES_MAX: usize = 16 * 1024 - 64;

/// Which events to log, how and where; the names are those of the options of `serve`.
#[derive(Debug, Default)]
pub(crate) struct LogOptions {
    pub(crate) log_filter: Option<String>,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
    pub(crate) disable_log_filter_noise_reduction: bool,
    /// `stdout` when not given.
    pub(crate) log_destination: Option<String>,
    /// One line for an event when not given.
    pub(crate) log_format: Option<String>,
}

/// Where events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogDestination {
    Stdout,
    Stderr,
}

impl LogOptions {
    /// The directives in force.
    fn filter(&self) -> String {
        let chosen = match self.verbose {
            0 => self.log_filter.as_deref().unwrap_or("info"),
            1 => "info",
            2 => "debug",
            _ => "trace",
        };
        let is_noisy = chosen.starts_with("debug") || chosen.starts_with("trace");
        match is_noisy && !self.disable_log_filter_noise_reduction {
            true => format!("{chosen},{NOISE_REDUCTION}"),
            false => chosen.to_string(),
        }
    }
}

/// Starts logging for the rest of the process.
pub(crate) fn initialize(options: &LogOptions, no_color: bool) -> anyhow::Result<()> {
    let directives = options.filter();
    let filter = EnvFilter::builder().parse(&directives).map_err(|cause| {
        anyhow::anyhow!("Initializing logs failed: cannot use the filter '{directives}': {cause}")
    })?;
    let destination = Destination {
        kind: match options.log_destination.as_deref() {
            Some("stderr") => LogDestination::Stderr,
            _ => LogDestination::Stdout,
        },
    };
    let ansi = destination.is_terminal() && !no_color;
    let layer = tracing_subscriber::fmt::layer::<Registry>()
        .log_internal_errors(false)
        .with_writer(destination)
        .with_ansi(ansi);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match options.log_format.as_deref() {
        Some("pretty") => layer.pretty().with_ansi(ansi).boxed(),
        Some("json") => layer.json().boxed(),
        Some("logfmt") => layer.with_ansi(false).event_format(Logfmt).boxed(),
        _ => layer.boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|cause| anyhow::anyhow!("Initializing logs failed: {cause}"))?;
    tracing::debug!(filter = directives, "log_filter_active");
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Destination {
    kind: LogDestination,
}

impl Destination {
    fn is_terminal(self) -> bool {
        match self.kind {
            LogDestination::Stdout => io::stdout().is_terminal(),
            LogDestination::Stderr => io::stderr().is_terminal(),
        }
    }
}

impl<'a> MakeWriter<'a> for Destination {
    type Writer = LineLimit;

    fn make_writer(&'a self) -> Self::Writer {
        LineLimit { kind: self.kind }
    }
}

/// Passes each event, which arrives in one piece, on to the destination, cut to [`LINE_BYTES_MAX`].
#[derive(Debug)]
struct LineLimit {
    kind: LogDestination,
}

impl Write for LineLimit {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (kept, end): (&[u8], &[u8]) = match event.len() > LINE_BYTES_MAX {
            true => (cut(event), b"\n"),
            false => (event, b""),
        };
        match self.kind {
            LogDestination::Stdout => write_both(&mut io::stdout().lock(), kept, end)?,
            LogDestination::Stderr => write_both(&mut io::stderr().lock(), kept, end)?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.kind {
            LogDestination::Stdout => io::stdout().flush(),
            LogDestination::Stderr => io::stderr().flush(),
        }
    }
}

fn write_both(destination: &mut impl Write, kept: &[u8], end: &[u8]) -> io::Result<()> {
    destination.write_all(kept)?;
    destination.write_all(end)?;
    destination.flush()
}

/// The longest beginning that leaves room for a line end and does not split a character.
fn cut(event: &[u8]) -> &[u8] {
    let mut length = LINE_BYTES_MAX - 1;
    // Bytes after the first of a UTF-8 character begin with the bits 10.
    while length > 0 && event[length] & 0b1100_0000 == 0b1000_0000 {
        length -= 1;
    }
    &event[..length]
}

/// `ts=… level=… target=… msg=… name=value …`, values quoted where needed.
#[derive(Debug)]
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = metadata.level().as_str().to_ascii_lowercase();
        write!(
            writer,
            " level={level} target={}",
            quoted(metadata.target())
        )?;
        if let Some(message) = &pairs.message {
            write!(writer, " msg={}", quoted(message))?;
        }
        for (name, value) in &pairs.others {
            write!(writer, " {name}={}", quoted(value))?;
        }
        writeln!(writer)
    }
}

#[derive(Default)]
struct Pairs {
    message: Option<String>,
    others: Vec<(&'static str, String)>,
}

impl Visit for Pairs {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = Some(value.to_string()),
            name => self.others.push((name, value.to_string())),
        }
    }
}

/// A value as logfmt readers take it: bare when it is one plain word, else in quotes.
fn quoted(value: &str) -> String {
    let is_plain = |character: char| {
        !character.is_whitespace()
            && !character.is_control()
            && !matches!(character, '"' | '=' | '\\')
    };
    match !value.is_empty() && value.chars().all(is_plain) {
        true => value.to_string(),
        false => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(filter: Option<&str>, verbose: u8) -> LogOptions {
        LogOptions {
            log_filter: filter.map(str::to_string),
            verbose,
            ..LogOptions::default()
        }
    }

    #[test]
    fn filters() {
        assert_eq!(options(None, 0).filter(), "info");
        assert_eq!(options(Some("warn"), 0).filter(), "warn");
        assert_eq!(options(Some("warn"), 1).filter(), "info");
        assert_eq!(
            options(Some("warn"), 2).filter(),
            format!("debug,{NOISE_REDUCTION}")
        );
        assert_eq!(
            options(None, 9).filter(),
            format!("trace,{NOISE_REDUCTION}")
        );
        assert_eq!(
            options(Some("debug,storage=warn"), 0).filter(),
            format!("debug,storage=warn,{NOISE_REDUCTION}")
        );
        let mut plain = options(None, 2);
        plain.disable_log_filter_noise_reduction = true;
        assert_eq!(plain.filter(), "debug");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = "ä".repeat(LINE_BYTES_MAX);
        let kept = std::str::from_utf8(cut(line.as_bytes())).expect("whole characters");
        assert!(kept.len() < LINE_BYTES_MAX && kept.len() + 4 > LINE_BYTES_MAX);
    }

    #[test]
    fn logfmt_values() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("a=\"b\"\n"), "\"a=\\\"b\\\"\\n\"");
    }
}
