//! `debug verify`: checks catalog, manifest, log and files, and says what is damaged, missing or of no use.
//!
//! What is checked: docs/guide/verify.md. Here: options, the two formats of findings, the exit code. The checking is `storage`'s.

use std::fmt;
use std::process::ExitCode;

use clap::ValueEnum;
use server::verify::{Depth, Finding, Repair, Repaired, Summary, verify};

use crate::commands::object_store;
use crate::commands::serve;
use crate::environment::Environment;
use crate::options::given::NodeStoreOptions;
use crate::options::settings::Settings;
use crate::output;

/// The command could not do its work.
const CANNOT_RUN: u8 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: NodeStoreOptions,

    /// Do not read data files whole: check their sizes and footers
    #[arg(long)]
    fast: bool,

    /// Remove what nothing names, set damaged log segments aside that hold nothing any more; change nothing else
    #[arg(long)]
    repair: bool,

    /// Repair although it cannot be known whether a server uses the store
    #[arg(long, requires = "repair")]
    force: bool,

    /// How to tell what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
enum Format {
    /// A line per finding
    Text,
    /// A JSON object per finding
    Json,
}

impl Options {
    pub(crate) async fn run(self: Box<Self>, environment: &Environment) -> ExitCode {
        match self.verify(environment).await {
            Ok(summary) if summary.is_clean() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(fault) => {
                output::complain(format_args!("Debug command failed: {fault}"));
                ExitCode::from(CANNOT_RUN)
            }
        }
    }

    async fn verify(&self, environment: &Environment) -> anyhow::Result<Summary> {
        let depth = if self.fast { Depth::Fast } else { Depth::Whole };
        let repair = match (self.repair, self.force) {
            (false, _) => Repair::No,
            (true, false) => Repair::WhenAlone,
            (true, true) => Repair::Forced,
        };
        let settings = Settings::of(&self.store.0, environment);
        let node_id = serve::node_id(&settings, environment)?;
        let store = object_store::kind(&settings)?;
        let mut unprinted = Ok(());
        let mut report = |finding: Finding| {
            let printed = match self.format {
                Format::Text => output::print(text(&finding)),
                Format::Json => output::print(json(&finding)),
            };
            if unprinted.is_ok() {
                unprinted = printed;
            }
        };
        let summary = verify(&store, &node_id, depth, repair, &mut report).await?;
        unprinted?;
        match self.format {
            Format::Text => output::print(Told(&summary))?,
            Format::Json => output::complain(Told(&summary)),
        }
        Ok(summary)
    }
}

fn text(finding: &Finding) -> String {
    let done = match finding.repaired {
        Repaired::No => "",
        Repaired::Removed => " [removed]",
        Repaired::SetAside => " [set aside]",
    };
    format!(
        "{:<8} {}: {}{done}",
        finding.kind.name(),
        finding.object,
        finding.message
    )
}

fn json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "kind": finding.kind.name(),
        "object": finding.object,
        "message": finding.message,
        "repaired": finding.repaired.name(),
    })
}

/// A summary in one line.
struct Told<'a>(&'a Summary);

impl fmt::Display for Told<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.0;
        write!(
            formatter,
            "looked at {} catalog objects, {} manifest objects, {} log segments with {} writes ({} bytes), {} files with {} rows ({} bytes), {} lists of deletes: ",
            summary.catalog_objects,
            summary.manifest_objects,
            summary.log_segments,
            summary.log_frames,
            summary.log_bytes,
            summary.files,
            summary.file_rows,
            summary.file_bytes,
            summary.delete_lists
        )?;
        if summary.is_clean() {
            formatter.write_str("clean")?;
        }
        let mut comma = if summary.is_clean() { ", " } else { "" };
        for (kind, count) in &summary.findings {
            write!(formatter, "{comma}{count} {}", kind.name())?;
            comma = ", ";
        }
        if summary.repaired > 0 {
            write!(formatter, "; {} repaired", summary.repaired)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use server::verify::FindingKind;

    use super::*;

    #[test]
    fn findings_and_summaries_are_told() {
        let finding = Finding {
            kind: FindingKind::Orphan,
            object: "n/dbs/1/2/3.parquet".to_string(),
            message: "the manifest does not name it".to_string(),
            repaired: Repaired::Removed,
        };
        assert_eq!(
            text(&finding),
            "orphan   n/dbs/1/2/3.parquet: the manifest does not name it [removed]"
        );
        assert_eq!(
            json(&finding).to_string(),
            r#"{"kind":"orphan","message":"the manifest does not name it","object":"n/dbs/1/2/3.parquet","repaired":"removed"}"#
        );
        let mut summary = Summary::default();
        assert!(
            Told(&summary)
                .to_string()
                .ends_with("lists of deletes: clean")
        );
        summary.findings.insert(FindingKind::Note, 2);
        assert!(Told(&summary).to_string().ends_with(": clean, 2 note"));
        summary.findings.insert(FindingKind::Damaged, 1);
        summary.repaired = 1;
        let told = Told(&summary).to_string();
        assert!(told.ends_with(": 1 damaged, 2 note; 1 repaired"), "{told}");
    }
}
