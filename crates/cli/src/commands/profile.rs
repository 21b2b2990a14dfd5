//! `profile list`, `profile show`, `profile set`, `profile use`, `profile delete`. No token is ever printed.
//!
//! Not here: how a profile takes effect (`profile` at the root of the crate).

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::client::parse_host;
use crate::credential::Secret;
use crate::environment::Environment;
use crate::output;
use crate::profile::{Profile, Profiles};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List profiles; the one in use has an asterisk
    List,
    /// Print a profile, without its token
    Show(ShowOptions),
    /// Make or change a profile
    Set(Box<SetOptions>),
    /// Use a profile from now on
    Use(UseOptions),
    /// Delete a profile
    Delete(DeleteOptions),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// Name of the profile; the one in use when not given
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetOptions {
    /// URL of the server
    #[arg(short = 'H', long, value_name = "HOST_URL", value_parser = checked_host)]
    host: Option<String>,

    /// Token to authenticate with; - reads it from the standard input
    #[arg(long, conflicts_with = "token_file")]
    token: Option<Secret>,

    /// File to read the token from, whenever it is needed
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Database to use
    #[arg(short, long, value_name = "DATABASE_NAME")]
    database: Option<String>,

    /// File with certificates of authorities to trust
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Whether to accept any certificate of the server
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_no_verify: Option<bool>,

    /// Values to forget, by their names in the file, such as token
    #[arg(long, value_name = "KEY", value_delimiter = ',', value_parser = ["host", "token", "token_file", "database", "tls_ca", "tls_no_verify"])]
    unset: Vec<String>,

    /// Name of the profile
    name: String,
}

/// An address as it is kept: with its scheme.
fn checked_host(text: &str) -> Result<String, String> {
    match parse_host(text)? {
        url if matches!(url.scheme(), "http" | "https") => Ok(url.to_string()),
        url => Err(format!("{} is neither http nor https", url.scheme())),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UseOptions {
    /// Name of the profile
    name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Name of the profile
    name: String,
}

impl Command {
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<()> {
        let path = Profiles::path(environment)?;
        match self {
            Self::List => list(&Profiles::read(&path)?),
            Self::Show(options) => options.run(&Profiles::read(&path)?),
            Self::Set(options) => options.run(&path),
            Self::Use(options) => {
                let name = options.name;
                Profiles::change(&path, |profiles| {
                    profiles.named(&name)?;
                    profiles.current = Some(name.clone());
                    Ok(())
                })?;
                output::print(format_args!("Profile {name:?} is in use"))
            }
            Self::Delete(options) => options.run(&path),
        }
    }
}

fn list(profiles: &Profiles) -> anyhow::Result<()> {
    for (name, profile) in &profiles.profiles {
        let mark = match profiles.current.as_deref() == Some(name) {
            true => "*",
            false => " ",
        };
        let host = profile.host.as_deref().unwrap_or_default();
        output::print(format!("{mark} {name}  {host}").trim_end())?;
    }
    Ok(())
}

impl ShowOptions {
    fn run(self, profiles: &Profiles) -> anyhow::Result<()> {
        let Some(name) = self.name.or_else(|| profiles.current.clone()) else {
            bail!("no profile is in use: name one");
        };
        output::print(text(&name, profiles.named(&name)?))
    }
}

/// A profile in words; of a token only that there is one.
fn text(name: &str, profile: &Profile) -> String {
    let verify = profile.tls_no_verify.map(|no_verify| no_verify.to_string());
    let token = profile.token.as_ref().map(|_| "(set)".to_string());
    let lines = [
        ("profile", Some(name.to_string())),
        ("host", profile.host.clone()),
        ("token", token),
        ("token_file", profile.token_file.clone()),
        ("database", profile.database.clone()),
        ("tls_ca", profile.tls_ca.clone()),
        ("tls_no_verify", verify),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}: {}", value?)));
    lines.collect::<Vec<_>>().join("\n")
}

impl SetOptions {
    fn run(mut self, path: &Path) -> anyhow::Result<()> {
        if self.name.is_empty() {
            bail!("the name of a profile cannot be empty");
        }
        if self
            .token
            .as_ref()
            .is_some_and(|token| token.expose() == "-")
        {
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .map_err(|cause| anyhow::anyhow!("cannot read the token: {cause}"))?;
            match line.trim() {
                "" => bail!("there is no token on the standard input"),
                token => self.token = Some(token.to_string().into()),
            }
        }
        let name = self.name.clone();
        Profiles::change(path, |profiles| {
            self.apply(profiles.profiles.entry(name).or_default());
            Ok(())
        })?;
        output::print(format_args!("Profile {:?} saved", self.name))
    }

    fn apply(&self, profile: &mut Profile) {
        for key in &self.unset {
            match key.as_str() {
                "host" => profile.host = None,
                "token" => profile.token = None,
                "token_file" => profile.token_file = None,
                "database" => profile.database = None,
                "tls_ca" => profile.tls_ca = None,
                "tls_no_verify" => profile.tls_no_verify = None,
                // The parser lets nothing else through.
                _ => {}
            }
        }
        // The folder that a command runs in later is another one.
        let shown = |path: &PathBuf| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            path.display().to_string()
        };
        if let Some(token) = &self.token {
            profile.token = Some(token.expose().to_string());
            profile.token_file = None;
        }
        if let Some(path) = &self.token_file {
            profile.token_file = Some(shown(path));
            profile.token = None;
        }
        profile.host = self.host.clone().or_else(|| profile.host.take());
        profile.database = self.database.clone().or_else(|| profile.database.take());
        profile.tls_ca = self
            .tls_ca
            .as_ref()
            .map(shown)
            .or_else(|| profile.tls_ca.take());
        profile.tls_no_verify = self.tls_no_verify.or(profile.tls_no_verify);
    }
}

impl DeleteOptions {
    fn run(self, path: &Path) -> anyhow::Result<()> {
        let name = &self.name;
        Profiles::read(path)?.named(name)?;
        if !self.yes {
            output::confirm_deletion(&format!("profile {name:?}"))?;
        }
        Profiles::change(path, |profiles| {
            profiles.profiles.remove(name);
            if profiles.current.as_deref() == Some(name) {
                profiles.current = None;
            }
            Ok(())
        })?;
        output::print(format_args!("Profile {name:?} deleted successfully"))
    }
}
