//! `install package`: Python packages for the plugins of a server (spec/cli.md §7.8).
//!
//! A file of requirements that lies here is read here; one that does not is the server's, which gets its path. The options of the
//! server's own environment are accepted, because scripts give them, and say nothing: the server knows its environment.

use std::path::{Path, PathBuf};

use anyhow::bail;
use reqwest::Method;
use serde_json::json;

use crate::client::{Body, Client, ConnectionOptions};

const PATH: &str = "/api/v3/configure/plugin_environment";

#[derive(Debug, clap::Args)]
pub(crate) struct InstallOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// File of requirements: on this machine, or else on the server's
    #[arg(short, long, value_name = "FILE")]
    requirements: Option<PathBuf>,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "FOLDER", env = "INFLUXDB3_PLUGIN_DIR")]
    plugin_dir: Option<PathBuf>,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "FOLDER", env = "VIRTUAL_ENV")]
    virtual_env_location: Option<PathBuf>,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "NAME", env = "INFLUXDB3_PACKAGE_MANAGER")]
    package_manager: Option<String>,

    /// Accepted for compatibility: has no effect
    #[arg(long, value_name = "URL", env = "INFLUXDB3_PLUGIN_REPO")]
    plugin_repo: Option<String>,

    /// Accepted for compatibility: has no effect
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        env = "INFLUXDB3_RESTRICT_PLUGIN_TRIGGERS_TO"
    )]
    restrict_plugin_triggers_to: Vec<String>,

    /// Packages to install, such as pandas or requests==2.32.0
    #[arg(required_unless_present = "requirements")]
    packages: Vec<String>,
}

impl InstallOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut packages = self.packages;
        let mut location = None;
        match &self.requirements {
            Some(path) if path.is_file() => packages.extend(read(path)?),
            Some(path) => location = Some(path.display().to_string()),
            None => {}
        }
        let client = Client::new(&self.connection, None)?;
        let send = async |what: &str, body| {
            let path = format!("{PATH}/{what}");
            client
                .send(Method::POST, &path, &[], Body::Json(body))
                .await
        };
        if !packages.is_empty() {
            send("install_packages", json!({ "packages": packages })).await?;
        }
        if let Some(location) = location {
            let body = json!({ "requirements_location": location });
            send("install_requirements", body).await?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| anyhow::anyhow!("cannot read {}: {cause}", path.display()))?;
    let packages = requirements(&text)
        .map_err(|line| anyhow::anyhow!("{}: cannot be sent: {line}", path.display()))?;
    if packages.is_empty() {
        bail!("{} names no package", path.display());
    }
    Ok(packages)
}

/// The packages that a file of requirements names; a line that is an option is an error, for it means something only where pip runs.
fn requirements(text: &str) -> Result<Vec<String>, String> {
    let mut packages = Vec::new();
    for line in text.lines() {
        let line = match line.split_once(" #") {
            Some((before, _)) => before.trim(),
            None => line.trim(),
        };
        if line.starts_with('-') || line.ends_with('\\') {
            return Err(line.to_string());
        }
        if !line.is_empty() && !line.starts_with('#') {
            packages.push(line.to_string());
        }
    }
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_packages_and_comments() {
        let text = "# for the plugins\npandas\n\nrequests==2.32.0  # of plugins\n";
        assert_eq!(
            requirements(text),
            Ok(vec!["pandas".to_string(), "requests==2.32.0".to_string()])
        );
        for line in [
            "-r other.txt",
            "--index-url https://example.org",
            "pandas \\",
        ] {
            assert_eq!(requirements(line), Err(line.to_string()));
        }
    }
}
