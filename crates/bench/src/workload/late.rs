//! Rows in batches, in the order of time or out of it: a share of them late, or the newest times first as in a backfill.
//!
//! Whatever the order, the rows are the same, and each comes once. Not here: the small disorder that belongs to `iot`.

use super::lines::Lines;
use super::plan::Plan;
use super::rows::{Rows, Written};
use crate::Error;
use crate::random::Random;
use clap::ValueEnum;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OrderOptions {
    /// Which rows come first
    #[arg(long, value_enum, default_value_t = Order::Time)]
    pub(crate) order: Order,

    /// Share of the rows that are late, for --order late
    #[arg(long, default_value_t = 0.1)]
    pub(crate) late_share: f64,

    /// How late they are at most, for --order late
    #[arg(long, default_value = "2h", value_parser = humantime::parse_duration)]
    pub(crate) late_by: Duration,

    /// How much time is written forward before the window before it, for --order backfill
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) backfill_window: Duration,
}

impl Default for OrderOptions {
    /// As rows come.
    fn default() -> Self {
        Self {
            order: Order::Time,
            late_share: 0.1,
            late_by: Duration::from_secs(2 * 3_600),
            backfill_window: Duration::from_secs(3_600),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// As they come
    Time,
    /// Some are held back for a while
    Late,
    /// The newest window first, the oldest last
    Backfill,
}

/// Lines to be sent in one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) rows: usize,
    /// Fields of all rows together.
    pub(crate) values: usize,
    pub(crate) lines: Vec<u8>,
}

impl Batch {
    fn count(&mut self, written: Written) {
        self.rows += written.rows;
        self.values += written.values;
    }
}

pub(crate) type Batches = Box<dyn Iterator<Item = Batch> + Send>;

/// The rows of a plan in batches of `batch_rows`, the last of a window or of all with fewer.
pub(crate) fn batches(
    plan: &Plan,
    options: &OrderOptions,
    batch_rows: usize,
) -> Result<Batches, Error> {
    if batch_rows == 0 {
        return Err("a batch of 0 rows is none".into());
    }
    Ok(match options.order {
        Order::Time => Box::new(Windows::whole(plan, batch_rows)),
        Order::Late => Box::new(HeldBack::new(plan, options, batch_rows)?),
        Order::Backfill => {
            let window = options.backfill_window;
            let epochs = epochs(window, plan)
                .filter(|epochs| *epochs > 0)
                .ok_or_else(|| shorter_than_interval("--backfill-window", window, plan))?;
            Box::new(Windows::backwards(plan, epochs, batch_rows))
        }
    })
}

/// How many intervals of the plan fit.
fn epochs(duration: Duration, plan: &Plan) -> Option<usize> {
    let interval_ns = u128::try_from(plan.interval_ns).ok()?;
    usize::try_from(duration.as_nanos().checked_div(interval_ns)?).ok()
}

fn shorter_than_interval(option: &str, duration: Duration, plan: &Plan) -> Error {
    format!(
        "{option} {} is less than one interval of {}",
        humantime::format_duration(duration),
        humantime::format_duration(Duration::from_nanos(plan.interval_ns.unsigned_abs())),
    )
    .into()
}

/// Windows of time, each written forward.
struct Windows {
    /// Rows that stand at the beginning of a window, and the epoch where it ends; the next window is the last.
    windows: Vec<(Rows, usize)>,
    batch_rows: usize,
    expected_bytes: usize,
}

impl Windows {
    fn whole(plan: &Plan, batch_rows: usize) -> Self {
        Self {
            windows: vec![(Rows::new(plan), usize::MAX)],
            batch_rows,
            expected_bytes: 0,
        }
    }

    /// A walk can only be walked forward, so all rows are made once to find where each window begins.
    fn backwards(plan: &Plan, window_epochs: usize, batch_rows: usize) -> Self {
        let mut rows = Rows::new(plan);
        let mut windows = Vec::new();
        let mut unused = Vec::new();
        let mut start = 0;
        while start < plan.epochs {
            let end = start.saturating_add(window_epochs);
            if end >= plan.epochs {
                windows.push((rows, usize::MAX));
                break;
            }
            windows.push((rows.clone(), end));
            while rows.write_until(end, 1_000, &mut unused).rows > 0 {
                unused.clear();
            }
            start = end;
        }
        Self {
            windows,
            batch_rows,
            expected_bytes: 0,
        }
    }
}

impl Iterator for Windows {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch {
            lines: Vec::with_capacity(self.expected_bytes),
            ..Batch::default()
        };
        while batch.rows == 0 {
            let (rows, end) = self.windows.last_mut()?;
            let written = rows.write_until(*end, self.batch_rows, &mut batch.lines);
            batch.count(written);
            if batch.rows == 0 {
                self.windows.pop();
            }
        }
        self.expected_bytes = batch.lines.len() + batch.lines.len() / 16;
        Some(batch)
    }
}

/// Rows of which some wait for a later epoch. Those that wait are in memory.
struct HeldBack {
    rows: Rows,
    random: Random,
    share: f64,
    delay_max_epochs: usize,
    /// What waits for each of the epochs after that of the rows.
    held: VecDeque<Lines>,
    epoch: usize,
    /// What waits no more.
    due: Lines,
    batch_rows: usize,
}

impl HeldBack {
    fn new(plan: &Plan, options: &OrderOptions, batch_rows: usize) -> Result<Self, Error> {
        let share = options.late_share;
        if !(0.0..=1.0).contains(&share) {
            return Err(format!("--late-share {share} is not between 0 and 1").into());
        }
        let by = options.late_by;
        let delay_max_epochs = epochs(by, plan)
            .filter(|epochs| *epochs > 0)
            .ok_or_else(|| shorter_than_interval("--late-by", by, plan))?;
        Ok(Self {
            rows: Rows::new(plan),
            // No host has this number, and `iot` holds back by others.
            random: Random::new(plan.seed, 1 << 62 | plan.hosts.start as u64),
            share,
            delay_max_epochs,
            held: VecDeque::new(),
            epoch: 0,
            due: Lines::default(),
            batch_rows,
        })
    }

    /// The next row in time is kept or added to the batch; false if there is none.
    fn next_row(&mut self, batch: &mut Batch) -> bool {
        let start = batch.lines.len();
        let written = self.rows.write(1, &mut batch.lines);
        if written.rows == 0 {
            return false;
        }
        if self.random.unit() < self.share {
            let wait = self.random.below(self.delay_max_epochs);
            if self.held.len() <= wait {
                self.held.resize_with(wait + 1, Lines::default);
            }
            self.held[wait].push(&batch.lines[start..], written.values);
            batch.lines.truncate(start);
        } else {
            batch.count(written);
        }
        true
    }
}

impl Iterator for HeldBack {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        while batch.rows < self.batch_rows {
            let rows_max = self.batch_rows - batch.rows;
            let written = self.due.take(rows_max, &mut batch.lines);
            batch.count(written);
            if batch.rows == self.batch_rows {
                break;
            }
            if !self.next_row(&mut batch) {
                match self.held.pop_front() {
                    Some(lines) => self.due = lines,
                    None => break,
                }
            }
            while self.epoch < self.rows.epoch() {
                self.epoch += 1;
                if let Some(mut lines) = self.held.pop_front() {
                    lines.move_to(usize::MAX, &mut self.due);
                }
            }
        }
        (batch.rows > 0).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Order, OrderOptions, batches};
    use crate::workload::Plan;
    use crate::workload::tests::{plan, text};
    use std::time::Duration;

    fn options(order: Order) -> OrderOptions {
        OrderOptions {
            order,
            late_share: 0.1,
            late_by: Duration::from_secs(600),
            backfill_window: Duration::from_secs(300),
        }
    }

    fn made(plan: &Plan, options: &OrderOptions, batch_rows: usize) -> Vec<Batch> {
        batches(plan, options, batch_rows).unwrap().collect()
    }

    fn refused(options: &OrderOptions, batch_rows: usize) -> String {
        let refused = batches(&plan(&[]), options, batch_rows).err();
        refused.expect("an error").to_string()
    }

    fn lines(batches: &[Batch]) -> Vec<&str> {
        batches
            .iter()
            .flat_map(|batch| std::str::from_utf8(&batch.lines).unwrap().lines())
            .collect()
    }

    fn time_s(line: &str) -> i64 {
        let (_, time_ns) = line.rsplit_once(' ').unwrap();
        time_ns.parse::<i64>().unwrap() / 1_000_000_000
    }

    #[test]
    fn nothing_is_lost_or_doubled_in_any_order() {
        for use_case in ["cpu-only", "devops", "iot", "churn"] {
            let plan = plan(&[
                "--use-case",
                use_case,
                "--hosts",
                "13",
                "--end",
                "2016-01-01T00:21:00Z",
            ]);
            let text = text(&plan, 7);
            let mut expected: Vec<&str> = text.lines().collect();
            expected.sort_unstable();
            for order in [Order::Time, Order::Late, Order::Backfill] {
                let batches = made(&plan, &options(order), 100);
                assert!(batches.iter().all(|batch| (1..=100).contains(&batch.rows)));
                let mut lines = lines(&batches);
                let rows: usize = batches.iter().map(|batch| batch.rows).sum();
                assert_eq!(rows, lines.len());
                lines.sort_unstable();
                assert_eq!(lines, expected, "{use_case} {order:?}");
                let fields = |line: &str| line.split(' ').nth(1).unwrap().split(',').count();
                let values: usize = batches.iter().map(|batch| batch.values).sum();
                assert_eq!(values, lines.iter().map(|line| fields(line)).sum::<usize>());
            }
        }
    }

    #[test]
    fn the_share_that_is_late_is_late_by_no_more_than_allowed() {
        let plan = plan(&["--hosts", "50", "--end", "2016-01-01T02:00:00Z"]);
        let batches = made(&plan, &options(Order::Late), 1_000);
        let lines = lines(&batches);
        let mut newest_s = 0;
        let mut delays_s = Vec::new();
        for line in &lines {
            newest_s = newest_s.max(time_s(line));
            if time_s(line) < newest_s {
                delays_s.push(newest_s - time_s(line));
            }
        }
        let share = delays_s.len() as f64 / lines.len() as f64;
        assert!((0.09..0.11).contains(&share), "{share}");
        let mean_s = delays_s.iter().sum::<i64>() as f64 / delays_s.len() as f64;
        assert!((270.0..330.0).contains(&mean_s), "{mean_s}");
        assert!(delays_s.iter().all(|delay_s| *delay_s <= 600));
        assert_eq!(batches, made(&plan, &options(Order::Late), 1_000));
    }

    #[test]
    fn a_backfill_begins_with_the_newest_window() {
        let plan = plan(&["--hosts", "2", "--end", "2016-01-01T00:12:00Z"]);
        let batches = made(&plan, &options(Order::Backfill), 1_000);
        let first_s = time_s(lines(&batches)[0]);
        let windows: Vec<(usize, i64)> = batches
            .iter()
            .map(|batch| {
                let lines = lines(std::slice::from_ref(batch));
                assert!(lines.is_sorted_by_key(|line| time_s(line)));
                (batch.rows, time_s(lines[0]) - first_s)
            })
            .collect();
        assert_eq!(windows, [(24, 0), (60, -300), (60, -600)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let told = refused(
            &OrderOptions {
                late_share: 1.5,
                ..options(Order::Late)
            },
            1,
        );
        assert_eq!(told, "--late-share 1.5 is not between 0 and 1");
        let told = refused(
            &OrderOptions {
                late_by: Duration::from_secs(9),
                ..options(Order::Late)
            },
            1,
        );
        assert_eq!(told, "--late-by 9s is less than one interval of 10s");
        let told = refused(
            &OrderOptions {
                backfill_window: Duration::ZERO,
                ..options(Order::Backfill)
            },
            1,
        );
        assert_eq!(
            told,
            "--backfill-window 0s is less than one interval of 10s"
        );
        assert_eq!(
            refused(&options(Order::Time), 0),
            "a batch of 0 rows is none"
        );
    }
}
