//! docs/reference/config.md, made from the table: every option with its names, values and default.
//!
//! A test compares; `UPDATE=1` writes the page anew.

use super::setting::{Effect, Setting, Usual};
use super::table::{SECTIONS, Scope};

/// The page.
pub(crate) fn page() -> String {
    let mut page = include_str!("../help/reference.md").to_string();
    for section in SECTIONS {
        page.push_str(&format!("\n## {}\n\n", section.title));
        if section.scope == Scope::Store {
            page.push_str("`debug` takes these too.\n\n");
        }
        if !section.note.is_empty() {
            page.push_str(&format!("{}\n\n", section.note));
        }
        let (full, inert): (Vec<_>, Vec<_>) = section
            .settings
            .iter()
            .filter(|setting| !setting.is_hidden)
            .partition(|setting| setting.effect == Effect::Full);
        if !full.is_empty() {
            page.push_str(
                "| option | variable | value | default | meaning |\n|---|---|---|---|---|\n",
            );
            for setting in &full {
                page.push_str(&row(setting, true));
            }
        }
        if !inert.is_empty() {
            if !full.is_empty() {
                page.push('\n');
            }
            page.push_str("Accepted without effect:\n\n| option | variable | value | why |\n|---|---|---|---|\n");
            for setting in &inert {
                page.push_str(&row(setting, false));
            }
        }
    }
    page
}

fn row(setting: &Setting, has_default: bool) -> String {
    let short = setting
        .short
        .map_or(String::new(), |letter| format!("`-{letter}`, "));
    let older = setting.older.iter().map(|name| format!("--{name}"));
    let option = format!("{short}`{}`{}", setting.flag(), formerly(older));
    let variable = match setting.variable_name() {
        Some(name) => format!("`{name}`{}", formerly(setting.older_variable_names())),
        None => "–".to_string(),
    };
    let default = match setting.default {
        Usual::Value(text) => format!("`{text}`"),
        Usual::Told(words) => words.to_string(),
        Usual::Nothing => "–".to_string(),
    };
    let default = match setting.alone {
        Some(alone) => format!("{default}; without a value `{alone}`"),
        None => default,
    };
    let value = setting.kind.told();
    match has_default {
        true => format!(
            "| {option} | {variable} | {value} | {default} | {} |\n",
            setting.meaning
        ),
        false => format!(
            "| {option} | {variable} | {value} | {} |\n",
            setting.meaning
        ),
    }
}

/// Names of earlier versions, in brackets.
fn formerly(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" (formerly {})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn the_page_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
        let page = super::page();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
            std::fs::write(&path, &page).expect("a file");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "UPDATE=1 writes {} anew", path.display());
    }
}
