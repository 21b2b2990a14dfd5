//! OpenMetrics as Prometheus text 0.0.4, the format that every scraper reads.
//!
//! The two differ in the lines about a family: OpenMetrics names a counter without its `_total`, knows the kind `info` (at which a
//! scraper that expects 0.0.4 gives up) and has units. Samples are the same.

use std::collections::HashMap;

/// Rewrites the lines about families; the last line, `# EOF`, is a comment to readers of 0.0.4 and stays, as clients know it.
pub(super) fn from_open_metrics(text: &str) -> String {
    let kinds: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    for line in text.lines() {
        let about = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|start| Some((start, line.strip_prefix(start)?.split_once(' ')?)));
        match about {
            Some((start, (name, rest))) => {
                let (suffix, kind) = match kinds.get(name).copied() {
                    Some("counter") => ("_total", "counter"),
                    Some("info") => ("_info", "gauge"),
                    Some("unknown") => ("", "untyped"),
                    Some(kind) => ("", kind),
                    None => ("", ""),
                };
                let rest = if start == "# TYPE " { kind } else { rest };
                out.extend([start, name, suffix, " ", rest]);
            }
            None if line.starts_with("# UNIT ") => continue,
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::from_open_metrics;

    #[test]
    fn families_are_named_as_their_samples() {
        let open = "# HELP a_lines Lines, all.\n# TYPE a_lines counter\na_lines_total 3\n\
            # HELP a_build What runs.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
            # HELP a_seconds How long.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\na_seconds_sum 1.5\n\
            # HELP a_files Files.\n# TYPE a_files gauge\na_files 2\n# TYPE a_odd unknown\na_odd 1\n# EOF\n";
        let expected = "# HELP a_lines_total Lines, all.\n# TYPE a_lines_total counter\na_lines_total 3\n\
            # HELP a_build_info What runs.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
            # HELP a_seconds How long.\n# TYPE a_seconds histogram\na_seconds_sum 1.5\n\
            # HELP a_files Files.\n# TYPE a_files gauge\na_files 2\n# TYPE a_odd untyped\na_odd 1\n# EOF\n";
        assert_eq!(from_open_metrics(open), expected);
    }
}
