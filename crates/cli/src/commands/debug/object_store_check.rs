//! `debug object-store-check`: tries an object store, one line per thing tried.
//!
//! What is tried is in `server`; options and exit code: spec/cli.md §7.10. The store of these options need not be in use.

use anyhow::bail;
use server::store::{self, StoreCheck};

use crate::commands::object_store;
use crate::environment::Environment;
use crate::options::given::StoreOptions;
use crate::options::settings::Settings;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,

    /// Where to write: objects go to a folder of their own below it, and are removed again
    #[arg(long, value_name = "PREFIX")]
    check_prefix: Option<String>,

    /// Node whose catalog to read, without changing anything; alone, nothing is written
    #[arg(long, value_name = "PREFIX")]
    probe_prefix: Option<String>,
}

impl Options {
    pub(crate) async fn run(self: Box<Self>, environment: &Environment) -> anyhow::Result<()> {
        let kind = object_store::kind(&Settings::of(&self.store.0, environment))?;
        let (check, probe) = (self.check_prefix.as_deref(), self.probe_prefix.as_deref());
        let checks = store::check(&kind, check, probe).await?;
        let failed = checks
            .iter()
            .filter(|check| !matches!(check.outcome, Some(Ok(()))))
            .count();
        let lines: Vec<String> = checks.iter().map(line).collect();
        output::print(lines.join("\n"))?;
        if failed > 0 {
            bail!("{failed} of {} checks failed", checks.len());
        }
        Ok(())
    }
}

fn line(check: &StoreCheck) -> String {
    let took_ms = check.took.as_secs_f64() * 1000.0;
    match &check.outcome {
        Some(Ok(())) => format!("ok      {took_ms:>9.1} ms  {}", check.name),
        Some(Err(fault)) => format!("failed  {took_ms:>9.1} ms  {}: {fault}", check.name),
        None => format!("skipped               {}", check.name),
    }
}
