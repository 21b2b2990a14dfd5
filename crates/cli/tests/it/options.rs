//! The options of a server, under every name and from every place, through `config show` (spec/server-config.md §1, §4, §5).
//!
//! Which options there are is told by compat/inventory/options.txt; what they do is tested where the server is.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{binary, influxdb3, run, temporary_folder};

/// A line of the inventory.
struct Known {
    name: String,
    older: Vec<String>,
    variable: Option<String>,
    older_variables: Vec<String>,
    value: String,
}

fn inventory() -> Vec<Known> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat/inventory/options.txt");
    let text = std::fs::read_to_string(path).expect("the inventory");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = |text: &str| {
        let words = text.split_whitespace().filter(|word| *word != "-");
        words.map(str::to_string).collect::<Vec<_>>()
    };
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").collect();
            let [name, older, variable, older_variables, value] = parts[..] else {
                panic!("five parts: {line}");
            };
            Known {
                name: name.to_string(),
                older: words(older),
                variable: words(variable).pop(),
                older_variables: words(older_variables),
                value: value.to_string(),
            }
        })
        .collect()
}

/// Options of every command: `config show` is not about them.
fn is_of_program(known: &Known) -> bool {
    known.name.starts_with("io-runtime-") || known.name == "num-io-threads"
}

/// The two ways to name a node exclude each other, on a line and in the environment.
fn without_second_name(known: &Known) -> bool {
    known.name != "node-id-from-env"
}

fn shown(mut command: Command) -> (BTreeMap<String, (Option<String>, String)>, String) {
    command.args(["--origin", "--format", "json"]);
    let ran = run(command, b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    let Value::Object(told) = serde_json::from_str(&ran.stdout).expect("JSON") else {
        panic!("{}", ran.stdout);
    };
    let told = told.into_iter().map(|(name, one)| {
        let value = one["value"].as_str().map(str::to_string);
        (
            name,
            (
                value,
                one["origin"].as_str().unwrap_or_default().to_string(),
            ),
        )
    });
    (told.collect(), ran.stderr)
}

/// Asserts that every option has its value (or the mask) from where `origin` tells.
#[track_caller]
fn assert_in_force(
    told: &BTreeMap<String, (Option<String>, String)>,
    known: &[Known],
    origin: impl Fn(&Known) -> String,
) {
    for one in known.iter().filter(|one| !is_of_program(one)) {
        let (value, from) = told
            .get(&one.name)
            .unwrap_or_else(|| panic!("{} is not shown", one.name));
        let value = value
            .as_deref()
            .unwrap_or_else(|| panic!("{} has no value", one.name));
        assert!(
            value == one.value || value == "*******",
            "{}: {value}",
            one.name
        );
        assert_eq!(*from, origin(one), "{}", one.name);
    }
}

fn argument(name: &str, value: &str) -> Vec<String> {
    match (name, value) {
        ("verbose", _) => vec!["-vv".to_string()],
        (_, "true") if !takes_truth(name) => vec![format!("--{name}")],
        _ => vec![format!("--{name}={value}")],
    }
}

/// Switches whose value is a word.
fn takes_truth(name: &str) -> bool {
    name.ends_with("disable-lifo-slot") || name == "enable-retention" || name == "without-user-auth"
}

#[test]
fn on_the_line_under_each_name() {
    let known: Vec<Known> = inventory()
        .into_iter()
        .filter(without_second_name)
        .collect();
    let folder = temporary_folder();
    let most_names = known.iter().map(|one| one.older.len()).max().unwrap_or(0);
    for at in 0..=most_names {
        let mut command = binary(folder.path());
        command.args(["config", "show"]);
        let mut older = Vec::new();
        for one in &known {
            let name = match at.checked_sub(1).and_then(|at| one.older.get(at)) {
                Some(name) => {
                    older.push(name);
                    name
                }
                None => &one.name,
            };
            command.args(argument(name, &one.value));
        }
        let (told, stderr) = shown(command);
        assert_in_force(&told, &known, |_| "command line".to_string());
        for name in older {
            assert!(
                stderr.contains(&format!("option --{name} is deprecated, use --")),
                "{name}: {stderr}"
            );
        }
    }
}

#[test]
fn by_each_variable_in_the_environment_and_in_dotenv() {
    let known: Vec<Known> = inventory()
        .into_iter()
        .filter(|one| one.variable.is_some() && without_second_name(one))
        .collect();
    let most_names = known
        .iter()
        .map(|one| one.older_variables.len())
        .max()
        .unwrap_or(0);
    for at in 0..=most_names {
        let variable = |one: &Known| -> String {
            let older = at.checked_sub(1).and_then(|at| one.older_variables.get(at));
            let name = older.or(one.variable.as_ref());
            name.expect("filtered").clone()
        };
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.args(["config", "show"]);
        for one in &known {
            command.env(variable(one), &one.value);
        }
        let (told, _) = shown(command);
        assert_in_force(&told, &known, |one| format!("variable {}", variable(one)));

        let lines = known
            .iter()
            .map(|one| format!("{}='{}'\n", variable(one), one.value));
        let file = folder.path().join(".env");
        std::fs::write(&file, lines.collect::<String>()).expect("a file");
        let mut command = binary(folder.path());
        command.args(["config", "show"]);
        let (told, _) = shown(command);
        let folder = std::fs::canonicalize(&file).expect("a file");
        assert_in_force(&told, &known, |one| {
            format!("{} {}", folder.display(), variable(one))
        });
    }
}

#[test]
fn in_a_file() {
    let known: Vec<Known> = inventory();
    let folder = temporary_folder();
    let file = folder.path().join("server.toml");
    let lines = known.iter().map(|one| match one.value.as_str() {
        "true" => format!("{} = true\n", one.name),
        value if value.parse::<f64>().is_ok() => format!("{} = {value}\n", one.name),
        value => format!("{} = {value:?}\n", one.name),
    });
    std::fs::write(&file, lines.collect::<String>()).expect("a file");
    let lines: BTreeMap<String, usize> = known
        .iter()
        .enumerate()
        .map(|(at, one)| (one.name.clone(), at + 1))
        .collect();
    let origin = |one: &Known| format!("{}:{}", file.display(), lines[&one.name]);

    let mut command = binary(folder.path());
    command.args(["config", "show", "--config"]).arg(&file);
    assert_in_force(&shown(command).0, &known, origin);

    let mut command = binary(folder.path());
    command
        .args(["config", "show"])
        .env("INFLUXDB3_CONFIG", &file);
    assert_in_force(&shown(command).0, &known, origin);
}

#[test]
fn the_stronger_place_wins() {
    let folder = temporary_folder();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let file = write(
        "server.toml",
        "# of this machine\nquery-timeout = '1s'\nquery-queue-timeout = '1s'\nwal-flush-interval = '1ms'\nshutdown-timeout = '1s'\n",
    );
    write(
        ".env",
        "INFLUXDB3_QUERY_TIMEOUT=2s\nINFLUXDB3_QUERY_QUEUE_TIMEOUT=2s\nINFLUXDB3_WAL_FLUSH_INTERVAL=2ms\n",
    );
    let mut command = binary(folder.path());
    command
        .env("INFLUXDB3_QUERY_TIMEOUT", "3s")
        .env("INFLUXDB3_QUERY_QUEUE_TIMEOUT", "3s")
        .args(["config", "show", "--query-timeout", "4s", "--config"])
        .arg(&file);
    let (told, _) = shown(command);
    let of = |name: &str| {
        let (value, origin) = told[name].clone();
        (value.unwrap_or_default(), origin)
    };
    let here = std::fs::canonicalize(folder.path()).expect("a folder");
    assert_eq!(of("query-timeout"), ("4s".into(), "command line".into()));
    assert_eq!(
        of("query-queue-timeout"),
        ("3s".into(), "variable INFLUXDB3_QUERY_QUEUE_TIMEOUT".into())
    );
    assert_eq!(
        of("wal-flush-interval"),
        (
            "2ms".into(),
            format!(
                "{} INFLUXDB3_WAL_FLUSH_INTERVAL",
                here.join(".env").display()
            )
        )
    );
    assert_eq!(
        of("shutdown-timeout"),
        ("1s".into(), format!("{}:5", file.display()))
    );
    assert_eq!(of("http-bind"), ("0.0.0.0:8181".into(), "default".into()));
}

#[test]
fn files_that_are_wrong_are_told_with_their_lines() {
    let folder = temporary_folder();
    let file = folder.path().join("server.toml");
    let tried = |text: &str, words: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        let mut command = binary(folder.path());
        command.args(words).arg("--config").arg(&file);
        run(command, b"").failed(1)
    };
    let told = tried(
        "node-id = 'n'\nwal-flush = '1s'\nbucket = []\nhttp-bind = 'x'\n",
        &["serve"],
    );
    let expected = format!(
        "Serve command failed: cannot use {}: line 2: unknown key 'wal-flush'; line 4: invalid value for 'http-bind': Cannot parse socket address 'x': ",
        file.display()
    );
    assert!(told.starts_with(&expected), "{told}");
    let told = tried(
        "aws-secret-access-key = ['hidden', 1979-05-27]",
        &["debug", "object-store-check"],
    );
    assert!(
        told.contains("'aws-secret-access-key' cannot be a date") && !told.contains("hidden"),
        "{told}"
    );
    std::fs::remove_file(&file).expect("the file");
    let mut command = binary(folder.path());
    command.args(["config", "check", "--config"]).arg(&file);
    let told = run(command, b"").failed(1);
    assert!(
        told.starts_with("Serve command failed: cannot read "),
        "{told}"
    );
}

#[test]
fn a_file_can_name_the_node() {
    let folder = temporary_folder();
    let file = folder.path().join("server.toml");
    std::fs::write(
        &file,
        "node-id = 'n'\nobject-store = 'memory'\nplugin-dir = '/plugins'\n",
    )
    .expect("a file");
    let mut command = binary(folder.path());
    command.args(["config", "check", "--config"]).arg(&file);
    let ran = run(command, b"");
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (
            0,
            "",
            "--plugin-dir has no effect: plugins are not implemented yet\n"
        )
    );
    std::fs::write(&file, "node-id = 'n'\ntls-key = '/k'\n").expect("a file");
    let mut command = binary(folder.path());
    command.args(["config", "check", "--config"]).arg(&file);
    assert_eq!(
        run(command, b"").failed(1),
        "Config command failed: tls requires both a cert and a key file to be passed in to work\n"
    );
}

#[test]
fn values_that_are_none_are_usage_errors() {
    let error = influxdb3(&["serve", "--node-id", "n", "--gen1-duration", "2m"]).failed(2);
    assert_eq!(
        error,
        "error: invalid value '2m' for '--gen1-duration <DURATION>': invalid gen1 duration 2m. Must be one of 1m, 5m, 10m\n\nFor more information, try '--help'.\n"
    );
    let error = influxdb3(&["serve", "--node-id", "n", "--wal-flush-intervall", "2m"]).failed(2);
    assert!(
        error.contains("unexpected argument '--wal-flush-intervall' found")
            && error.contains("'--wal-flush-interval'"),
        "{error}"
    );
    let folder = temporary_folder();
    let mut command = binary(folder.path());
    command
        .env("INFLUXDB3_WITHOUT_AUTH", "1")
        .args(["config", "show"]);
    run(command, b"").failed(2);
}

#[test]
fn threads_are_asked_for_before_the_command_or_after() {
    for line in [
        &["--num-io-threads", "2", "config", "init"][..],
        &["config", "init", "--num-threads", "2"],
    ] {
        let text = influxdb3(line).succeeded();
        assert!(text.contains("# wal-flush-interval = \"1s\""), "{text}");
    }
    let error = influxdb3(&["config", "init", "--num-io-threads", "0"]).failed(2);
    assert!(error.contains("must be at least 1, got 0"), "{error}");
}
