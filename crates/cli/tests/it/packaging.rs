//! What packages install, against the binary they install: the settings file names options that exist.
//!
//! Not here: how packages are made (`xtask dist`), and what a settings file may say.

use std::path::Path;

use crate::harness::influxdb3;

/// The keys of the settings file of packages, those that are commented out too.
fn keys() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/influxdb3-core.conf");
    let text = std::fs::read_to_string(path).expect("the settings file");
    text.lines()
        .filter_map(|line| line.trim_start_matches('#').split_once(" = "))
        .map(|(key, _)| key.to_string())
        .filter(|key| !key.contains(' '))
        .collect()
}

#[test]
fn settings_of_packages_are_options_of_the_server() {
    let help = influxdb3(&["serve", "--help-all"]).succeeded();
    let options: Vec<&str> = help.split_whitespace().collect();
    let keys = keys();
    assert!(keys.len() > 12, "{keys:?}");
    for key in keys {
        let option = format!("--{key}");
        assert!(options.contains(&option.as_str()), "{option} in {help}");
    }
}
