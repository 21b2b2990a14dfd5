//! Reads what criterion left: for each benchmark its name, what an iteration handles, and how long one takes.
//!
//! Not here: running anything, and what the figures mean.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::record::{Figure, Figures};

/// The figures of all benchmarks below `folder`, which need not be there.
pub(crate) fn measured(folder: &Path) -> Result<Figures> {
    let mut figures = Figures::new();
    if folder.is_dir() {
        gather(folder, &mut figures)?;
    }
    Ok(figures)
}

/// Newest results lie in folders named `new`, at any depth.
fn gather(folder: &Path, figures: &mut Figures) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "new") {
            let figure = figure(
                &json(&path.join("benchmark.json"))?,
                &json(&path.join("sample.json"))?,
            );
            let (name, figure) =
                figure.with_context(|| format!("{} is no result of criterion", path.display()))?;
            figures.insert(name, figure);
        } else {
            gather(&path, figures)?;
        }
    }
    Ok(())
}

fn json(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// A benchmark's name, and its figure from the fastest of its samples: others at work only ever make one slower.
fn figure(benchmark: &Value, sample: &Value) -> Result<(String, Figure)> {
    let name = benchmark["full_id"].as_str().context("it has no name")?;
    let numbers = |key: &str| {
        sample[key]
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::as_f64)
    };
    let ns_per_iteration = numbers("times").zip(numbers("iters"));
    let ns = ns_per_iteration
        .filter_map(|(ns, iterations)| Some(ns? / iterations?))
        .filter(|ns| ns.is_finite() && *ns > 0.0)
        .min_by(f64::total_cmp)
        .with_context(|| format!("{name} has no samples"))?;
    let throughput = &benchmark["throughput"];
    let count = |key: &str| throughput[key].as_f64().filter(|count| *count > 0.0);
    let figure = if let Some(rows) = count("Elements") {
        Figure::NsPerRow(ns / rows)
    } else if let Some(bytes) = count("BytesDecimal").or_else(|| count("Bytes")) {
        Figure::MbPerS(bytes / ns * 1_000.0)
    } else {
        bail!("{name} does not say how many rows or bytes an iteration handles: {throughput}");
    };
    Ok((name.to_string(), figure))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(throughput: Value) -> Result<(String, Figure), String> {
        let benchmark = json!({ "full_id": "storage/sort", "throughput": throughput });
        // 4, 2 and 3 microseconds an iteration.
        let sample = json!({ "iters": [1.0, 10.0, 5.0], "times": [4_000.0, 20_000.0, 15_000.0] });
        figure(&benchmark, &sample).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_fastest_sample_becomes_a_figure_by_throughput() {
        let found = |figure| Ok(("storage/sort".to_string(), figure));
        assert_eq!(
            of(json!({ "Elements": 100 })),
            found(Figure::NsPerRow(20.0))
        );
        assert_eq!(
            of(json!({ "BytesDecimal": 1_000 })),
            found(Figure::MbPerS(500.0))
        );
        assert_eq!(of(json!({ "Bytes": 1_000 })), found(Figure::MbPerS(500.0)));
        for throughput in [json!(null), json!({ "Bits": 1 }), json!({ "Elements": 0 })] {
            let told = of(throughput.clone()).expect_err("is refused");
            assert!(
                told.contains("storage/sort") && told.contains(&throughput.to_string()),
                "{told}"
            );
        }
    }

    #[test]
    fn a_benchmark_without_samples_is_named() {
        let benchmark = json!({ "full_id": "storage/sort", "throughput": { "Elements": 1 } });
        for sample in [
            json!({}),
            json!({ "iters": [], "times": [] }),
            json!({ "iters": [0.0], "times": [5.0] }),
        ] {
            let told = figure(&benchmark, &sample).expect_err("is refused");
            assert!(told.to_string().contains("storage/sort"), "{told}");
        }
    }

    #[test]
    fn only_the_newest_results_are_read() {
        let folder = std::env::temp_dir().join(format!("xtask-perf-{}", std::process::id()));
        let put = |place: &str, rows: u32| {
            let place = folder.join(place);
            fs::create_dir_all(&place).expect("a folder");
            let benchmark =
                json!({ "full_id": "storage/sort", "throughput": { "Elements": rows } });
            let sample = json!({ "iters": [1.0], "times": [100.0] });
            fs::write(place.join("benchmark.json"), benchmark.to_string()).expect("a file");
            fs::write(place.join("sample.json"), sample.to_string()).expect("a file");
        };
        assert_eq!(
            measured(&folder).expect("nothing is no fault"),
            Figures::new()
        );
        put("storage/sort/base", 1);
        put("storage/sort/new", 10);
        let found = measured(&folder);
        fs::remove_dir_all(&folder).expect("the folder goes");
        let expected = [("storage/sort".to_string(), Figure::NsPerRow(10.0))];
        assert_eq!(found.expect("figures"), Figures::from(expected));
    }
}
