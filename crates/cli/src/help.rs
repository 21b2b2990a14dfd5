//! The help pages written by hand: the root's and those of `serve`, which clap would print as one long list.
//!
//! Everything else is clap's. The pages are the text files beside this one; a line that begins with `# ` is a title.
//! Which page answers which line: spec/cli.md §3. The tests below hold the pages and the options together.

use std::ffi::{OsStr, OsString};

use crate::environment::Environment;
use crate::output::Style;

/// A page of help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Root,
    RootAll,
    Serve,
    ServeAll,
}

/// The page that a line of arguments (the program's name first) asks for; `None` leaves the line to clap.
pub(crate) fn asked_for(line: &[OsString]) -> Option<Page> {
    let arguments = line.get(1..)?;
    let arguments = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .collect::<Vec<_>>();
    let mut words = arguments.iter().filter(|argument| !is_flag(argument));
    let command = words.next();
    let long = arguments.iter().any(|argument| *argument == "--help-all");
    let short = arguments
        .iter()
        .any(|argument| *argument == "--help" || *argument == "-h");
    if command.is_some_and(|command| *command == "help") {
        return match words.next() {
            None if long => Some(Page::RootAll),
            None => Some(Page::Root),
            Some(word) if *word == "serve" && long => Some(Page::ServeAll),
            Some(word) if *word == "serve" => Some(Page::Serve),
            Some(_) => None,
        };
    }
    match (command.and_then(|command| command.to_str()), long, short) {
        (_, false, false) => None,
        (None, true, _) if command.is_none() => Some(Page::RootAll),
        (None, false, true) if command.is_none() => Some(Page::Root),
        (Some("serve"), true, _) => Some(Page::ServeAll),
        (Some("serve"), false, true) => Some(Page::Serve),
        _ => None,
    }
}

fn is_flag(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}

impl Page {
    fn text(self) -> &'static str {
        match self {
            Self::Root => include_str!("help/root.txt"),
            Self::RootAll => include_str!("help/root_all.txt"),
            Self::Serve => include_str!("help/serve.txt"),
            Self::ServeAll => include_str!("help/serve_all.txt"),
        }
    }

    /// The page as it is printed, titles emphasised on a terminal.
    pub(crate) fn render(self, environment: &Environment) -> String {
        let style = Style::of_stdout(environment);
        let lines = self
            .text()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(title) => style.title(title),
                None => line.to_string(),
            });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::commands::Arguments;

    fn check(line: &str, expected: Option<Page>) {
        let line: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        assert_eq!(asked_for(&line), expected, "{line:?}");
    }

    #[test]
    fn which_page() {
        check("influxdb3", None);
        check("influxdb3 -h", Some(Page::Root));
        check("influxdb3 --help", Some(Page::Root));
        check("influxdb3 --help-all", Some(Page::RootAll));
        check("influxdb3 --help --help-all", Some(Page::RootAll));
        check("influxdb3 serve -h", Some(Page::Serve));
        check(
            "influxdb3 serve --node-id x --help-all",
            Some(Page::ServeAll),
        );
        check("influxdb3 -h serve", Some(Page::Serve));
        check("influxdb3 serve --node-id x", None);
        check("influxdb3 help", Some(Page::Root));
        check("influxdb3 help --help-all", Some(Page::RootAll));
        check("influxdb3 help serve", Some(Page::Serve));
        check("influxdb3 help --help-all serve", Some(Page::ServeAll));
        check("influxdb3 help query", None);
        check("influxdb3 q -h", None);
        check("influxdb3 write -d x -- -h", None);
        check("influxdb3 nonsense --help", None);
    }

    /// Long names of the options of `serve`, without those that every command has and those that are for tests.
    fn serve_options() -> Vec<String> {
        let root = Arguments::command();
        let serve = root.find_subcommand("serve").expect("serve is a command");
        serve
            .get_arguments()
            .filter(|argument| !argument.is_hide_set())
            .filter_map(|argument| argument.get_long())
            .map(|name| format!("--{name}"))
            .collect()
    }

    #[test]
    fn the_long_page_of_serve_has_every_option() {
        let page = Page::ServeAll.text();
        for name in serve_options() {
            let listed = page
                .split_whitespace()
                .any(|word| word.trim_end_matches(',') == name);
            assert!(listed, "{name} is missing");
        }
    }

    #[test]
    fn the_pages_name_no_option_that_does_not_exist() {
        let mut known = serve_options();
        known.extend(
            ["--help", "--help-all", "--version", "--admin", "--profile"].map(str::to_string),
        );
        for page in [Page::Root, Page::RootAll, Page::Serve, Page::ServeAll] {
            for word in page.text().split_whitespace() {
                let word = word.trim_end_matches([',', '.', ')', '\'']);
                if word.starts_with("--") {
                    assert!(known.iter().any(|name| name == word), "{page:?}: {word}");
                }
            }
        }
    }

    #[test]
    fn the_root_pages_list_every_command() {
        let root = Arguments::command();
        for page in [Page::Root, Page::RootAll] {
            for command in root.get_subcommands() {
                if command.is_hide_set() {
                    continue;
                }
                let name = command.get_name();
                let listed = page.text().lines().any(|line| {
                    // What a line is about stands before the gap.
                    let (about, _) = line.trim_start().split_once("  ").unwrap_or_default();
                    about.split([' ', ',']).any(|word| word == name)
                });
                assert!(listed, "{page:?}: {name}");
            }
        }
    }
}
