//! What a reader of figures must know of the machine they were taken on. Not here: the figures.

use std::path::Path;
use std::process::Command;

/// Facts in the order of the page, each a name and what it is.
pub(crate) fn facts(data_folder: &Path) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    vec![
        (
            "processor",
            format!(
                "{}, {cores} cores",
                value(&cpuinfo, "model name", ':').unwrap_or("unknown")
            ),
        ),
        (
            "memory",
            gib(value(&read("/proc/meminfo"), "MemTotal", ':').unwrap_or_default()),
        ),
        (
            "system",
            format!(
                "{}, Linux {}",
                value(&read("/etc/os-release"), "PRETTY_NAME", '=')
                    .unwrap_or("unknown")
                    .trim_matches('"'),
                read("/proc/sys/kernel/osrelease").trim()
            ),
        ),
        ("disk", file_system(data_folder)),
    ]
}

/// What stands behind a key, in a text of lines `key : value`.
fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(separator)?;
        (found.trim() == key).then_some(value.trim())
    })
}

/// `16384000 kB` in GiB.
fn gib(kib: &str) -> String {
    let number = kib
        .strip_suffix(" kB")
        .and_then(|number| number.parse::<f64>().ok());
    match number {
        Some(kib) => format!("{:.1} GiB", kib / 1_048_576.0),
        None => "unknown".to_owned(),
    }
}

fn file_system(folder: &Path) -> String {
    let told = Command::new("df")
        .arg("--output=fstype")
        .arg(folder)
        .output();
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match told.as_deref().map(|text| text.lines().nth(1)) {
        Ok(Some(kind)) => kind.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{facts, gib, value};

    #[test]
    fn facts_are_read_from_what_the_kernel_tells() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(value(text, "model name", ':'), Some("Some CPU @ 2 GHz"));
        assert_eq!(value(text, "flags", ':'), None);
        assert_eq!(gib("2097152 kB"), "2.0 GiB");
        assert_eq!(gib(""), "unknown");
        let facts = facts(std::path::Path::new("/"));
        assert!(facts.iter().all(|(_, fact)| !fact.is_empty()), "{facts:?}");
    }
}
