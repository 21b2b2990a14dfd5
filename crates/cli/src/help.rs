//! The help pages written by hand: the root's and those of `serve`, which clap would print as one long list.
//!
//! Everything else is clap's. The root's pages are text files, those of `serve` come from the table of options (`options::page`); a line that
//! begins with `# ` is a title.
//! Which page answers which line: spec/cli.md §3. The tests below hold the pages and the options together.

use std::ffi::{OsStr, OsString};

use crate::environment::Environment;
use crate::options::page;
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
    fn text(self) -> String {
        match self {
            Self::Root => include_str!("help/root.txt").to_string(),
            Self::RootAll => include_str!("help/root_all.txt").to_string(),
            Self::Serve => page::serve(false),
            Self::ServeAll => page::serve(true),
        }
    }

    /// The page as it is printed, titles emphasised on a terminal.
    pub(crate) fn render(self, environment: &Environment) -> String {
        let style = Style::of_stdout(environment);
        let text = self.text();
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
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
    use crate::options::setting::Setting;
    use crate::options::table;

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

    #[test]
    fn the_pages_name_no_option_that_does_not_exist() {
        let mut known: Vec<String> = table::all().map(Setting::flag).collect();
        known.extend(
            [
                "--help",
                "--help-all",
                "--version",
                "--admin",
                "--offline",
                "--config",
                "--origin",
                "--profile",
            ]
            .map(str::to_string),
        );
        for page in [Page::Root, Page::RootAll, Page::Serve, Page::ServeAll] {
            let text = page.text();
            for word in text.split_whitespace() {
                let word = word.trim_end_matches([',', '.', ')', ']', ';', '`', '\'']);
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
