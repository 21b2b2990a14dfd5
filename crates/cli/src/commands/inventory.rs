//! Holds the commands to the list of those that scripts may know, `compat/inventory/commands.txt`: each exists with all its options,
//! and each is used in a session of `compat/commands`.
//!
//! Tests only. What the commands do is the business of the sessions, which `tests/it/transcripts` plays.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;

use super::Arguments;

const COMPAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../compat");

/// A command of the list and its options, as they are typed.
struct Listed {
    words: Vec<String>,
    options: Vec<String>,
    speaks: bool,
}

/// The list, and the options that stand for a connection.
fn list() -> (Vec<Listed>, Vec<String>) {
    let text = std::fs::read_to_string(Path::new(COMPAT).join("inventory/commands.txt"))
        .expect("the list");
    let mut connection = Vec::new();
    let mut listed = Vec::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (options, words): (Vec<String>, Vec<String>) = line
            .split_whitespace()
            .map(str::to_string)
            .partition(|word| word.starts_with('-'));
        if words == ["connection"] {
            connection = options;
            continue;
        }
        let speaks = words.iter().any(|word| word == "<connection>");
        let words = words
            .into_iter()
            .filter(|word| word != "<connection>")
            .collect();
        listed.push(Listed {
            words,
            options,
            speaks,
        });
    }
    (listed, connection)
}

/// The tree as it is parsed.
fn tree() -> clap::Command {
    let mut tree = Arguments::command();
    tree.build();
    tree
}

fn find<'a>(tree: &'a clap::Command, words: &[String]) -> Option<&'a clap::Command> {
    words
        .iter()
        .try_fold(tree, |command, word| command.find_subcommand(word))
}

/// The name that an option has in whatever spelling.
fn option(command: &clap::Command, typed: &str) -> Option<String> {
    let found = command.get_arguments().find(|argument| {
        let long = typed.strip_prefix("--");
        match long {
            Some(name) => {
                argument.get_long() == Some(name)
                    || argument
                        .get_all_aliases()
                        .is_some_and(|names| names.contains(&name))
            }
            None => {
                let letter = typed.chars().nth(1);
                letter.is_some() && argument.get_short() == letter
            }
        }
    });
    found.map(|argument| argument.get_id().to_string())
}

#[test]
fn every_command_and_option_exists() {
    let (listed, connection) = list();
    assert!(listed.len() > 80 && connection.len() > 4);
    let tree = tree();
    for Listed {
        words,
        options,
        speaks,
    } in listed
    {
        let command = find(&tree, &words).unwrap_or_else(|| panic!("no command {words:?}"));
        let connection = connection.iter().filter(|_| speaks);
        for typed in options.iter().chain(connection) {
            assert!(option(command, typed).is_some(), "{words:?} has no {typed}");
        }
    }
}

/// The lines that are typed in sessions, in words; quotes do not matter here.
fn typed() -> Vec<Vec<String>> {
    let folder = std::fs::read_dir(Path::new(COMPAT).join("commands")).expect("sessions");
    let mut lines = Vec::new();
    for file in folder.flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a session");
        let typed = text.lines().filter_map(|line| line.strip_prefix("$ "));
        lines.extend(typed.map(|line| {
            let words = line.split_whitespace().map(str::to_string);
            words
                .skip_while(|word| word != "influxdb3")
                .skip(1)
                .collect()
        }));
    }
    lines
}

#[test]
fn every_command_and_option_is_used_in_a_session() {
    let tree = tree();
    // Commands as they were typed, with aliases, and options by their names, so that either spelling counts.
    let mut commands: BTreeSet<Vec<String>> = BTreeSet::new();
    let mut options: BTreeSet<(String, String)> = BTreeSet::new();
    let mut anywhere: BTreeSet<String> = BTreeSet::new();
    for line in typed() {
        let mut command = &tree;
        let mut path = Vec::new();
        let mut given = Vec::new();
        for word in &line {
            if word == "--" {
                break;
            }
            if let Some(next) = command.find_subcommand(word) {
                command = next;
                path.push(word.clone());
            }
            let typed = word.split('=').next().unwrap_or_default();
            if let Some(name) = word
                .starts_with('-')
                .then(|| option(command, typed))
                .flatten()
            {
                given.push((command.get_bin_name().unwrap_or_default().to_string(), name));
                anywhere.insert(typed.to_string());
            }
        }
        commands.insert(path);
        options.extend(given);
    }
    let (listed, connection) = list();
    let mut unused = Vec::new();
    for Listed {
        words,
        options: known,
        ..
    } in &listed
    {
        if !commands.iter().any(|typed| typed.starts_with(words)) {
            unused.push(words.join(" "));
        }
        let command = find(&tree, words).expect("the other test has found it");
        let name = command.get_bin_name().unwrap_or_default().to_string();
        for typed in known {
            let used = option(command, typed)
                .is_some_and(|option| options.contains(&(name.clone(), option)));
            if !used {
                unused.push(format!("{} {typed}", words.join(" ")));
            }
        }
    }
    unused.extend(
        connection
            .into_iter()
            .filter(|typed| typed.starts_with("--") && !anywhere.contains(typed)),
    );
    assert!(unused.is_empty(), "no session uses {unused:#?}");
}
