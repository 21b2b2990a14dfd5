//! Holds `docs/reference/commands.md` to the commands: the page is made from them, and `UPDATE=1` writes it.
//!
//! Tests only.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Arguments;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/commands.md"
);

const WIDTH: usize = 150;

const HEAD: &str = "# Commands\n\n\
    Every command of `influxdb3` with its options, made from the program itself. Options that every command has are left out below:\n\
    `-h`, `--help`, `--help-all`, and `--profile` ([the command line](../guide/command-line.md)). What a command ends with:\n\
    [exit codes](exit-codes.md). A variable in brackets is read where the option is not given.\n\n\
    Commands that speak with a server have the options of a connection, and only *connection* stands for them below:\n\n";

/// The options that say which server is meant.
const CONNECTION: [&str; 5] = ["host", "token", "token_file", "tls_ca", "tls_no_verify"];

/// Options that every command has.
const EVERYWHERE: [&str; 3] = ["help", "help_all", "profile"];

#[test]
fn the_page_is_what_the_commands_are() {
    let mut tree = Arguments::command().disable_help_subcommand(true);
    tree.build();
    let mut page = HEAD.to_string();
    let query = tree.find_subcommand("query").expect("a command");
    for name in CONNECTION {
        let found = query
            .get_arguments()
            .find(|argument| argument.get_id() == name);
        describe(&mut page, found.expect("an option of a connection"));
    }
    section(&mut page, &tree);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(PAGE, &page).expect("a writable page");
    }
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/commands.md is not what the commands are; UPDATE=1 writes it"
    );
}

/// Everything about the commands below one, sorted by name.
fn section(page: &mut String, command: &Command) {
    let mut commands: Vec<&Command> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
        .collect();
    commands.sort_by_key(|command| command.get_name().to_string());
    for command in commands {
        let inner = command
            .get_subcommands()
            .any(|command| command.get_name() != "help");
        if !inner || command.get_arguments().any(is_own) {
            about(page, command);
        }
        section(page, command);
    }
}

fn is_own(argument: &Arg) -> bool {
    let name = argument.get_id().as_str();
    !argument.is_hide_set() && !EVERYWHERE.contains(&name)
}

fn about(page: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    // Writing into a string cannot fail; so in all of this file.
    let _ = write!(page, "\n## {name}\n\n");
    let text = command.get_about().map(ToString::to_string);
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let also = match aliases.as_slice() {
        [] => String::new(),
        aliases => format!(" Also: `{}`.", aliases.join("`, `")),
    };
    let _ = writeln!(page, "{}.{also}", text.unwrap_or_default());
    if command.get_name() == "serve" {
        page.push_str("Its options have a page of their own.\n");
        return;
    }
    let own = command.get_arguments().filter(|argument| is_own(argument));
    let (connection, mut others): (Vec<&Arg>, Vec<&Arg>) =
        own.partition(|argument| CONNECTION.contains(&argument.get_id().as_str()));
    others.sort_by_key(|argument| (!argument.is_positional(), argument.get_long()));
    if connection.is_empty() && others.is_empty() {
        return;
    }
    page.push('\n');
    for argument in others {
        describe(page, argument);
    }
    if !connection.is_empty() {
        page.push_str("- *connection*\n");
    }
}

/// An option or argument as one entry of a list.
fn describe(page: &mut String, argument: &Arg) {
    let takes_value = argument.get_action().takes_values();
    let names = argument.get_value_names().unwrap_or_default();
    let values: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let mut forms = Vec::new();
    forms.extend(argument.get_short().map(|letter| format!("-{letter}")));
    forms.extend(argument.get_long().map(|name| format!("--{name}")));
    let value = match takes_value && !argument.is_positional() {
        true => format!(" {}", values.join(" ")),
        false => String::new(),
    };
    let form = match argument.is_positional() {
        true => values.join(" "),
        false => format!("{}{value}", forms.join(", ")),
    };
    let mut text = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    if argument.is_required_set() {
        text.push_str("; required");
    }
    let possible: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| value.get_name().to_string())
        .collect();
    if !possible.is_empty() {
        let _ = write!(text, "; one of {}", possible.join(", "));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| takes_value)
        .map(|value| value.to_string_lossy().into_owned())
        .collect();
    if !defaults.is_empty() {
        let _ = write!(text, "; {} by default", defaults.join(","));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(text, " [{}]", variable.to_string_lossy());
    }
    let mut line = format!("- `{form}`:");
    for word in text.split_whitespace() {
        if line.chars().count() + word.chars().count() + 1 > WIDTH {
            let _ = writeln!(page, "{line}");
            line = " ".to_string();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(page, "{line}");
}
