//! The two pages of help for `serve`: what most need, and everything.
//!
//! The beginning and the end are text files; the options come from the table. Order: spec/cli.md §3. A line that begins with `# ` is a
//! title, which `help` emphasises.

use super::given::CONFIG_VARIABLE;
use super::setting::{Effect, Setting, Usual};
use super::table::{SECTIONS, Section};

/// Where what an option is for begins.
const COLUMN: usize = 36;

/// Longest line.
const WIDTH: usize = 120;

/// The page, with every option or the common ones.
pub(crate) fn serve(has_all: bool) -> String {
    let mut page = String::from(match has_all {
        true => include_str!("../help/serve_all.txt"),
        false => include_str!("../help/serve.txt"),
    });
    let mut without_effect = Vec::new();
    for section in SECTIONS {
        let shown = |setting: &&Setting| match has_all {
            true => !setting.is_hidden && setting.effect == Effect::Full,
            false => setting.is_common,
        };
        let settings: Vec<&Setting> = section.settings.iter().filter(shown).collect();
        if has_all {
            let inert = section
                .settings
                .iter()
                .filter(|setting| !setting.is_hidden && matches!(setting.effect, Effect::Inert(_)));
            without_effect.extend(inert.map(Setting::flag));
        }
        if !settings.is_empty() {
            add_section(&mut page, section, &settings, has_all);
        }
    }
    if has_all {
        page.push_str("\n# Accepted Without Effect\n  So that scripts and files of the original keep working; the log tells why.\n");
        add_wrapped(&mut page, &without_effect.join(", "), 2, 2);
    }
    page.push_str(match has_all {
        true => include_str!("../help/serve_all_end.txt"),
        false => include_str!("../help/serve_end.txt"),
    });
    page
}

fn add_section(page: &mut String, section: &Section, settings: &[&Setting], has_all: bool) {
    page.push_str(&format!("\n# {}\n", section.title));
    if has_all && !section.note.is_empty() {
        add_wrapped(page, section.note, 2, 2);
    }
    for setting in settings {
        add_setting(page, setting);
    }
    if section.title == "Required" {
        let meaning = format!("TOML file with options, by the same names [env: {CONFIG_VARIABLE}]");
        add_entry(page, "  --config <FILE>", &meaning);
    }
}

fn add_setting(page: &mut String, setting: &Setting) {
    let short = setting
        .short
        .map_or(String::new(), |letter| format!("-{letter}, "));
    let value = match (setting.value_name(), setting.alone) {
        (Some(name), Some(_)) => format!(" [<{name}>]"),
        (Some(name), None) => format!(" <{name}>"),
        (None, _) => String::new(),
    };
    let mut meaning = setting.meaning.to_string();
    if let Usual::Value(text) | Usual::Told(text) = setting.default {
        meaning.push_str(&format!(" [default: {text}]"));
    }
    if let Some(alone) = setting.alone {
        meaning.push_str(&format!(" [without a value: {alone}]"));
    }
    if let Some(variable) = setting.variable_name() {
        meaning.push_str(&format!(" [env: {variable}]"));
    }
    add_entry(
        page,
        &format!("  {short}{}{value}", setting.flag()),
        &meaning,
    );
}

fn add_entry(page: &mut String, left: &str, meaning: &str) {
    page.push_str(left);
    let used = left.chars().count();
    let start = if used + 2 > COLUMN {
        page.push('\n');
        0
    } else {
        used
    };
    page.push_str(&" ".repeat(COLUMN - start));
    add_wrapped(page, meaning, 0, COLUMN);
}

/// Adds `text` in lines: the first after `first` blanks, the others after `others`; a line begins there already when `first` is 0.
fn add_wrapped(page: &mut String, text: &str, first: usize, others: usize) {
    page.push_str(&" ".repeat(first));
    let mut column = others;
    for (at, word) in pieces(text).into_iter().enumerate() {
        let width = word.chars().count();
        if at > 0 && column + 1 + width > WIDTH {
            page.push('\n');
            page.push_str(&" ".repeat(others));
            column = others;
        } else if at > 0 {
            page.push(' ');
            column += 1;
        }
        page.push_str(&word);
        column += width;
    }
    page.push('\n');
}

/// Words; a variable stays with what announces it.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match pieces.last_mut() {
            Some(last) if last == "[env:" => {
                last.push(' ');
                last.push_str(word);
            }
            _ => pieces.push(word.to_string()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::table;

    #[test]
    fn the_long_page_has_every_option_and_the_short_one_the_common_ones() {
        let (long, short) = (serve(true), serve(false));
        let has = |page: &str, flag: &str| {
            page.split_whitespace()
                .any(|word| word.trim_end_matches(',') == flag)
        };
        for setting in table::all() {
            let flag = setting.flag();
            assert_eq!(has(&long, &flag), !setting.is_hidden, "{flag}");
            assert_eq!(has(&short, &flag), setting.is_common, "{flag}");
        }
        for line in long.lines().chain(short.lines()) {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn entries_are_wrapped() {
        let mut page = String::new();
        add_setting(&mut page, table::find("tls-cert").expect("an option"));
        assert_eq!(
            page,
            "  --tls-cert <FILE>                 PEM file with the certificate of the server and those of the authorities above it;\n                                    read again when it changes [env: INFLUXDB3_TLS_CERT]\n"
        );
    }
}
