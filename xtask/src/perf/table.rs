//! Figures as text: beside those recorded for the terminal, alone for the page. Pure.

use anyhow::{Context, Result};

use super::record::{Figure, Record};

/// Between these lines of the page stands the table.
const BEGIN: &str = "<!-- figures: written by `cargo xtask perf --record` -->";
const END: &str = "<!-- end of figures -->";

/// Changes smaller than this are none, in percent.
const CHANGE_LEAST_PERCENT: f64 = 0.05;

/// What was measured beside what is recorded, a line for each benchmark; of those recorded only the ones that `takes` wants.
pub(crate) fn compare(
    now: &Record,
    recorded: Option<&Record>,
    takes: impl Fn(&str) -> bool,
) -> String {
    let before = |name: &str| recorded.and_then(|record| record.figures.get(name).copied());
    let mut rows = vec![["benchmark", "now", "recorded", "change of time"].map(str::to_string)];
    let mut names: Vec<&String> = now.figures.keys().collect();
    let old_names = recorded
        .into_iter()
        .flat_map(|record| record.figures.keys());
    names.extend(old_names.filter(|name| takes(name)));
    names.sort();
    names.dedup();
    for name in names {
        let (now, before) = (now.figures.get(name).copied(), before(name));
        let shown = |figure: Option<Figure>| figure.map_or("-".to_string(), |it| it.to_string());
        rows.push([name.clone(), shown(now), shown(before), change(now, before)]);
    }
    let mut text = aligned(&rows);
    for (what, now, before) in [
        (
            "machine",
            &now.machine,
            recorded.map(|record| &record.machine),
        ),
        ("build", &now.build, recorded.map(|record| &record.build)),
    ] {
        if let Some(before) = before.filter(|before| *before != now) {
            text += &format!(
                "recorded with another {what}, so changes say little: {before}, now {now}\n"
            );
        }
    }
    text
}

fn change(now: Option<Figure>, before: Option<Figure>) -> String {
    let (now, before) = match (now, before) {
        (Some(now), Some(before)) => (now, before),
        (None, _) => return "missing".to_string(),
        (_, None) => return "new".to_string(),
    };
    let Some(times) = now.slower_than(before) else {
        return "other unit".to_string();
    };
    let percent = (times - 1.0) * 100.0;
    if percent.abs() < CHANGE_LEAST_PERCENT {
        return "none".to_string();
    }
    format!("{percent:+.1} %")
}

/// The first column to the left, the others to the right.
fn aligned(rows: &[[String; 4]]) -> String {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max();
    let widths: [usize; 4] = std::array::from_fn(|at| width(at).unwrap_or(0));
    let [name, now, before, change] = widths;
    let line = |row: &[String; 4]| {
        format!(
            "{:name$}  {:>now$}  {:>before$}  {:>change$}\n",
            row[0], row[1], row[2], row[3]
        )
    };
    rows.iter().map(line).collect()
}

/// The page with the table of `record` between its marks.
pub(crate) fn in_page(page: &str, record: &Record) -> Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("it has no line {BEGIN}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("it has no line {END} behind the other mark"))?;
    let rows: String = record
        .figures
        .iter()
        .map(|(name, figure)| format!("| `{name}` | {figure} |\n"))
        .collect();
    let Record {
        date,
        machine,
        build,
        ..
    } = record;
    Ok(format!(
        "{before}{BEGIN}\n{date}, {machine}, {build}.\n\n| benchmark | figure |\n|---|---:|\n{rows}{END}{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::record::Figures;

    fn record(machine: &str, figures: &[(&str, Figure)]) -> Record {
        let figures = figures
            .iter()
            .map(|(name, figure)| (name.to_string(), *figure));
        Record {
            date: "2026-01-31".to_string(),
            machine: machine.to_string(),
            build: "release".to_string(),
            figures: figures.collect::<Figures>(),
        }
    }

    #[test]
    fn figures_stand_beside_those_recorded() {
        let before = record(
            "one",
            &[
                ("query/gapfill", Figure::NsPerRow(50.0)),
                ("server/csv", Figure::MbPerS(500.0)),
                ("server/json", Figure::MbPerS(500.0)),
                ("storage/gone", Figure::NsPerRow(7.0)),
                ("storage/sort", Figure::NsPerRow(40.0)),
                ("storage/wal", Figure::NsPerRow(40.0)),
            ],
        );
        let now = record(
            "one",
            &[
                ("query/gapfill", Figure::NsPerRow(50.01)),
                ("server/csv", Figure::MbPerS(1_000.0)),
                ("server/json", Figure::NsPerRow(500.0)),
                ("storage/merge", Figure::NsPerRow(123.4)),
                ("storage/sort", Figure::NsPerRow(30.0)),
                ("storage/wal", Figure::NsPerRow(41.0)),
            ],
        );
        let expected = "\
benchmark              now     recorded  change of time
query/gapfill  50.0 ns/row  50.0 ns/row            none
server/csv       1000 MB/s     500 MB/s         -50.0 %
server/json     500 ns/row     500 MB/s      other unit
storage/gone             -  7.00 ns/row         missing
storage/merge   123 ns/row            -             new
storage/sort   30.0 ns/row  40.0 ns/row         -25.0 %
storage/wal    41.0 ns/row  40.0 ns/row          +2.5 %
";
        assert_eq!(compare(&now, Some(&before), |_| true), expected);
    }

    #[test]
    fn what_was_not_asked_for_is_not_missing() {
        let before = record(
            "one",
            &[
                ("a/x", Figure::NsPerRow(1.0)),
                ("b/y", Figure::NsPerRow(1.0)),
            ],
        );
        let now = record("one", &[("a/x", Figure::NsPerRow(1.0))]);
        let table = compare(&now, Some(&before), |name| name.contains("a/"));
        assert!(table.contains("a/x") && !table.contains("b/y"), "{table}");
        let first = compare(&now, None, |_| true);
        assert!(
            first.contains("new") && !first.contains("another"),
            "{first}"
        );
    }

    #[test]
    fn another_machine_is_told() {
        let figures = [("a/x", Figure::NsPerRow(1.0))];
        let table = compare(
            &record("two", &figures),
            Some(&record("one", &figures)),
            |_| true,
        );
        assert!(
            table.contains("another machine") && table.contains("one, now two"),
            "{table}"
        );
        assert!(!table.contains("another build"), "{table}");
    }

    #[test]
    fn the_page_keeps_all_but_its_table() {
        let record = record("one", &[("a/x", Figure::NsPerRow(1.0))]);
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nMore.\n");
        let written = in_page(&page, &record).expect("a page with marks");
        let table = "2026-01-31, one, release.\n\n| benchmark | figure |\n|---|---:|\n| `a/x` | 1.00 ns/row |";
        assert_eq!(
            written,
            format!("# Title\n\n{BEGIN}\n{table}\n{END}\n\nMore.\n")
        );
        assert_eq!(in_page(&written, &record).expect("again"), written);
        for damaged in ["# Title\n".to_string(), format!("{END}\n{BEGIN}\n")] {
            assert!(in_page(&damaged, &record).is_err(), "{damaged}");
        }
    }
}
