//! Settings from the command line: a flag for each, made from the one list, and the layers read
//! from the process.
#![expect(clippy::disallowed_methods, reason = "reads the settings file that was named")]

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Config, ConfigError, Layers, SETTINGS};

use super::advice::quoted;
use super::exit::{Exit, failure};

/// The variable that names the settings file.
const CONFIG_VARIABLE: &str = "DOORBUSTER_CONFIG";

/// Flags of all settings, and `--config`.
#[derive(Debug, Clone, Default)]
pub(super) struct SettingsArgs {
    flags: Vec<(String, String)>,
    config: Option<PathBuf>,
}

impl Args for SettingsArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Settings file, TOML [environment: DOORBUSTER_CONFIG]")
            .help_heading("Settings");
        let mut command = command.arg(config);
        for setting in SETTINGS {
            let default = setting.default.map(|default| format!(" [default: {default}]"));
            let arg = Arg::new(setting.key)
                .long(setting.flag())
                .value_name(setting.shape)
                .help(format!("{}{}", setting.help, default.unwrap_or_default()))
                .help_heading("Settings");
            command = command.arg(arg);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingsArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let value = |key: &str| matches.get_one::<String>(key).cloned();
        self.flags = SETTINGS
            .iter()
            .filter_map(|setting| Some((setting.key.to_owned(), value(setting.key)?)))
            .collect();
        self.config = matches.get_one::<PathBuf>("config").cloned();
        Ok(())
    }
}

impl SettingsArgs {
    /// As if only these had been given, by their keys.
    pub(super) fn of(flags: Vec<(String, String)>, config: Option<PathBuf>) -> Self {
        Self { flags, config }
    }

    /// All layers, as the process has them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn layers(&self) -> anyhow::Result<Layers> {
        let file =
            self.config.clone().or_else(|| std::env::var_os(CONFIG_VARIABLE).map(Into::into));
        let file = file.map(|path| read(&path)).transpose()?;
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        let flags = self.flags.clone();
        Ok(Layers { flags, environment: environment.collect(), file })
    }

    /// The settings, taken.
    ///
    /// # Errors
    /// As [`Self::layers`], or everything that is wrong.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Config::new(&self.layers()?).map_err(|errors| all(&errors))
    }
}

fn read(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| {
        let next = match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("; `doorbuster config example > {}` makes one", quoted(path))
            }
            _ => String::new(),
        };
        let message = format!("cannot read settings file {}: {error}{next}", path.display());
        failure(Exit::Usage, message)
    })?;
    Ok((path.to_owned(), text))
}

/// Every error on a line of its own, then who tells what may be set.
fn all(errors: &[ConfigError]) -> anyhow::Error {
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.push("`doorbuster config example` shows every setting with its default".to_owned());
    failure(Exit::Usage, lines.join("\n"))
}
