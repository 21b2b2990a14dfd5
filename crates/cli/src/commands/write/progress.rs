//! The one line that shows how a write gets on, redrawn in its place, and the summary at the end.
//!
//! What it says is made of numbers and a width alone. Not here: when it is drawn (`write`), the statistics for those who look at no terminal
//! (`statistics`).

use std::time::Duration;

use super::statistics::{Statistics, size, whole_milliseconds};

/// How long the bar is, where there is room.
const BAR_WIDTH: usize = 24;
/// Terminals narrower than this get no bar.
const BAR_TERMINAL_WIDTH: usize = 70;

/// Everything that can be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) statistics: Statistics,
    pub(crate) elapsed: Duration,
    /// Lines, bytes, and bytes before unpacking, each per second, of late.
    pub(crate) rates: [f64; 3],
    /// Written and all there is, before unpacking; nothing when nobody knows how much will come.
    pub(crate) raw_bytes: Option<(u64, u64)>,
    pub(crate) sources_done: usize,
    pub(crate) sources: usize,
    pub(crate) retries: u64,
    pub(crate) refused: u64,
    /// Why requests wait to be sent again.
    pub(crate) trouble: Option<String>,
}

/// The line as far as it fits into `width` columns; the bar apart, since it may be coloured.
pub(crate) fn line(view: &View, width: usize) -> (String, String) {
    let mut parts = Vec::new();
    let mut bar = String::new();
    if let Some((done, all)) = view.raw_bytes {
        let share = if all == 0 {
            1.0
        } else {
            (done as f64 / all as f64).min(1.0)
        };
        if width >= BAR_TERMINAL_WIDTH {
            let filled = (share * BAR_WIDTH as f64) as usize;
            bar = format!(
                "[{}{}] ",
                "#".repeat(filled),
                "-".repeat(BAR_WIDTH - filled)
            );
        }
        parts.push(format!("{:3.0}%", (share * 100.0).floor()));
    }
    if let Some(trouble) = &view.trouble {
        parts.push(format!(
            "waiting for the server, {}: {trouble}",
            counted(view.retries, "retry", "retries")
        ));
    } else {
        let [lines_rate, bytes_rate, raw_rate] = view.rates;
        parts.push(format!("{} lines", short(view.statistics.lines as f64)));
        parts.push(format!("{} lines/s", short(lines_rate)));
        parts.push(format!("{}/s", size(bytes_rate as u64)));
        if let Some((done, all)) = view.raw_bytes
            && raw_rate > 0.0
        {
            let left =
                Duration::from_secs((all.saturating_sub(done) as f64 / raw_rate).ceil() as u64);
            parts.push(format!("ETA {}", humantime::format_duration(left)));
        }
        if view.sources > 1 {
            parts.push(format!("{} of {} files", view.sources_done, view.sources));
        }
        if view.retries > 0 {
            parts.push(counted(view.retries, "retry", "retries"));
        }
        if view.refused > 0 {
            parts.push(format!("{} refused", view.refused));
        }
    }
    let room = width.saturating_sub(bar.len() + 1);
    let text: String = parts
        .join("  ")
        .chars()
        .filter(|c| !c.is_control())
        .take(room)
        .collect();
    (bar, text)
}

/// What is said when all is over.
pub(crate) fn summary(view: &View) -> String {
    let elapsed = whole_milliseconds(view.elapsed);
    let seconds = elapsed.as_secs_f64().max(0.001);
    let written = &view.statistics;
    let mut text = format!(
        "{}, {}, in {} ({:.0} lines/s, {}/s)",
        counted(written.lines, "line", "lines"),
        size(written.bytes),
        humantime::format_duration(elapsed),
        written.lines as f64 / seconds,
        size((written.bytes as f64 / seconds) as u64),
    );
    if view.sources > 1 {
        text.push_str(&format!(
            ", {} of {} files",
            view.sources_done, view.sources
        ));
    }
    if view.retries > 0 {
        text.push_str(&format!(", {}", counted(view.retries, "retry", "retries")));
    }
    if view.refused > 0 {
        text.push_str(&format!(
            ", {} refused",
            counted(view.refused, "line", "lines")
        ));
    }
    text
}

pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A number in at most five characters and a unit.
fn short(number: f64) -> String {
    match number {
        ..10_000.0 => format!("{number:.0}"),
        ..1_000_000.0 => format!("{:.1}k", number / 1e3),
        ..1_000_000_000.0 => format!("{:.2}M", number / 1e6),
        _ => format!("{:.2}G", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            statistics: Statistics {
                requests: 3,
                lines: 1_234_567,
                bytes: 3 << 20,
            },
            elapsed: Duration::from_millis(12_345),
            rates: [56_789.0, (2 << 20) as f64, (1 << 20) as f64],
            raw_bytes: Some((5 << 20, 10 << 20)),
            sources_done: 1,
            sources: 3,
            retries: 0,
            refused: 0,
            trouble: None,
        }
    }

    #[test]
    fn lines_tell_what_is_known() {
        let (bar, text) = line(&view(), 120);
        assert_eq!(bar, "[############------------] ");
        assert_eq!(
            text,
            " 50%  1.23M lines  56.8k lines/s  2.00MiB/s  ETA 5s  1 of 3 files"
        );
        let stdin = View {
            raw_bytes: None,
            sources: 1,
            retries: 1,
            refused: 2,
            ..view()
        };
        assert_eq!(
            line(&stdin, 120).1,
            "1.23M lines  56.8k lines/s  2.00MiB/s  1 retry  2 refused"
        );
        let waiting = View {
            trouble: Some("gone".to_string()),
            retries: 4,
            ..view()
        };
        assert_eq!(
            line(&waiting, 120).1,
            " 50%  waiting for the server, 4 retries: gone"
        );
        for width in 0..100 {
            let (bar, text) = line(&view(), width);
            assert!(bar.len() + text.len() < width.max(1), "{width}");
        }
    }

    #[test]
    fn the_summary() {
        let one = View {
            statistics: Statistics {
                requests: 1,
                lines: 1,
                bytes: 9,
            },
            sources: 1,
            ..view()
        };
        assert!(summary(&one).starts_with("1 line, 9B, in "));
        assert_eq!(
            summary(&view()),
            "1234567 lines, 3.00MiB, in 12s 345ms (100005 lines/s, 248.84KiB/s), 1 of 3 files"
        );
    }
}
