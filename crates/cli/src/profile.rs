//! Client profiles: named sets of address, credential, database and TLS settings, so that they need not be repeated.
//!
//! They stand in `~/.config/influxdb3/config.toml` (or below `XDG_CONFIG_HOME`). What a profile says becomes known as the variable that
//! the option is bound to, where neither the process nor `.env` sets it: so flags, variables and `.env` are stronger without further
//! rules. Not here: the commands that show and change profiles (`commands/profile`).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::line;
use crate::private_file::Draft;

/// The variable, and the option, that choose a profile.
const VARIABLE: &str = "INFLUXDB3_PROFILE";
const OPTION: &str = "--profile";

const TOKEN: &str = "INFLUXDB3_AUTH_TOKEN";
const TOKEN_FILE: &str = "INFLUXDB3_AUTH_TOKEN_FILE";

/// All profiles. Has no debug form: there may be tokens in it.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one in use when none is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_no_verify: Option<bool>,
}

impl Profiles {
    /// Where they are kept; an error when the environment names no home.
    pub(crate) fn path(environment: &Environment) -> anyhow::Result<PathBuf> {
        let given = |name| environment.get(name).filter(|value| !value.is_empty());
        let folder = match (given("XDG_CONFIG_HOME"), given("HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => Path::new(home).join(".config"),
            (None, None) => bail!("neither XDG_CONFIG_HOME nor HOME says where profiles are kept"),
        };
        Ok(folder.join("influxdb3").join("config.toml"))
    }

    /// Reads all profiles; none when there is no file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                Self::parse(&text).map_err(|told| anyhow::anyhow!("{}: {told}", path.display()))
            }
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(fault) => bail!("cannot read {}: {fault}", path.display()),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|fault| {
            // The whole error would quote the line, and that may have a token.
            let before = fault.span().and_then(|span| text.get(..span.start));
            let line_number = before.map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line_number}: {}", fault.message())
        })
    }

    /// Changes the file, which only its owner can read, as one step.
    pub(crate) fn change(
        path: &Path,
        change: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|fault| anyhow::anyhow!("cannot create {}: {fault}", folder.display()))?;
        }
        let draft = Draft::of(path)?;
        let mut profiles = Self::read(path)?;
        change(&mut profiles)?;
        draft.finish(&toml::to_string(&profiles)?)
    }

    /// The profile of this name; an error names those that there are.
    pub(crate) fn named(&self, name: &str) -> anyhow::Result<&Profile> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            match known.as_slice() {
                [] => anyhow::anyhow!("there is no profile {name:?}, nor any other"),
                known => anyhow::anyhow!("there is no profile {name:?}, only {}", known.join(", ")),
            }
        })
    }
}

impl Profile {
    /// The values as the variables that options are bound to.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let verify = self.tls_no_verify.map(|no_verify| no_verify.to_string());
        let variables = [
            ("INFLUXDB3_HOST_URL", self.host.clone()),
            ("INFLUXDB3_DATABASE_NAME", self.database.clone()),
            ("INFLUXDB3_TLS_CA", self.tls_ca.clone()),
            ("INFLUXDB3_TLS_NO_VERIFY", verify),
            (TOKEN, self.token.clone()),
            (TOKEN_FILE, self.token_file.clone()),
        ];
        variables
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Makes known what the profile says that the line, the environment or the file of profiles chooses.
///
/// Errors: the file cannot be read or understood, or has no such profile.
pub(crate) fn supply(line: &[OsString], environment: &mut Environment) -> anyhow::Result<()> {
    let chosen = line::value_of(line, OPTION)
        .or_else(|| environment.get(VARIABLE))
        .map(|name| name.to_string_lossy().into_owned());
    let path = match Profiles::path(environment) {
        Ok(path) => path,
        Err(_) if chosen.is_none() => return Ok(()),
        Err(fault) => return Err(fault),
    };
    let profiles = Profiles::read(&path)?;
    let Some(name) = chosen.or_else(|| profiles.current.clone()) else {
        return Ok(());
    };
    let profile = profiles
        .named(&name)
        .map_err(|fault| anyhow::anyhow!("{}: {fault}", path.display()))?;
    // A credential of the environment is stronger whichever of its two forms it has.
    let has_credential = [TOKEN, TOKEN_FILE]
        .iter()
        .any(|name| environment.get(name).is_some());
    for (name, value) in profile.variables() {
        if !(has_credential && [TOKEN, TOKEN_FILE].contains(&name)) {
            environment.add_default(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_line_and_not_what_stands_in_it() {
        for (text, expected) in [
            ("[profiles.a]\nhots = \"x\"", "line 2: unknown field `hots`"),
            ("curent = \"a\"", "line 1: unknown field `curent`"),
            ("[profiles.a]\n\ntoken = \"apiv3_abc", "line 3: "),
            (
                "[profiles.a]\ntls_no_verify = \"yes\"",
                "line 2: invalid type",
            ),
        ] {
            let fault = Profiles::parse(text).err().expect(text);
            assert!(fault.starts_with(expected), "{fault}");
            assert!(!fault.contains("apiv3"), "{fault}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text =
            "current = \"a b\"\n\n[profiles.\"a b\"]\nhost = \"http://h\"\ntls_no_verify = true\n";
        let profiles = Profiles::parse(text).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(toml::to_string(&profiles).expect("text"), text);
        let variables = profiles.profiles["a b"].variables();
        assert_eq!(
            variables,
            [
                ("INFLUXDB3_HOST_URL", "http://h".to_string()),
                ("INFLUXDB3_TLS_NO_VERIFY", "true".to_string())
            ]
        );
    }
}
