//! A file with every option as a comment, to start one's own from: what `config init` prints.

use super::setting::{Effect, Kind, Setting, Usual};
use super::table::SECTIONS;

/// The file, which as it is changes nothing.
pub(crate) fn template() -> String {
    let mut text = String::from(
        "# Options of `influxdb3 serve`, by the names they have on the command line. Stronger than this file are the command line, the\n\
         # environment and a file `.env`. `influxdb3 config show --config FILE --origin` tells what is in force.\n",
    );
    for section in SECTIONS {
        let settings: Vec<&Setting> = section
            .settings
            .iter()
            .filter(|setting| is_listed(setting))
            .collect();
        if settings.is_empty() {
            continue;
        }
        text.push_str(&format!("\n## {}\n", section.title));
        for setting in settings {
            text.push_str(&format!(
                "\n# {}\n# {} = {}\n",
                setting.meaning,
                setting.name,
                example(setting)
            ));
        }
    }
    text
}

/// What does nothing is better left out, and what is counted is for the command line.
fn is_listed(setting: &Setting) -> bool {
    setting.effect == Effect::Full && !setting.is_hidden && !matches!(setting.kind, Kind::Count)
}

/// The default, or what a value looks like.
fn example(setting: &Setting) -> String {
    let text = match (setting.default, setting.kind) {
        (Usual::Value(text), _) => text,
        (_, Kind::Switch | Kind::Truth) => "false",
        (_, Kind::Number(_)) => "1",
        _ => "",
    };
    match setting.kind {
        Kind::Switch | Kind::Truth | Kind::Number(_) => text.to_string(),
        _ => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::file;

    #[test]
    fn the_template_says_nothing_and_its_keys_are_known() {
        let text = template();
        let told = file::parse(&text).expect("comments alone");
        assert!(told.values.is_empty());
        let keys = text.lines().filter_map(|line| line.strip_prefix("# "));
        let keys = keys.filter_map(|line| line.split_once(" = "));
        let with_values: Vec<String> = keys
            .filter(|(_, value)| *value != "\"\"")
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        assert!(with_values.len() > 20, "{with_values:?}");
        file::parse(&with_values.join("\n")).expect("defaults are values");
    }
}
