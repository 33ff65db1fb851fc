//! `config`: an example file, the settings in force and where each came from, a check.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::{Exit, failure, told};
use super::output::OutputArgs;
use super::print::print;
use super::settings::SettingsArgs;
use super::{logging, serve, target};
use crate::config::SETTINGS;

/// `config …`
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print a settings file with every setting, its default and what it does
    Example,
    /// Print the settings in force and where each came from; secrets are not shown
    Show(ShowArgs),
    /// Check the settings, and exit 2 with every mistake
    Check(CheckArgs),
}

/// `config show`
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// `config check`
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Serialize)]
struct Row {
    key: &'static str,
    value: Option<String>,
    origin: Option<String>,
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Example => {
                print(example())?;
                Ok(Exit::Done)
            }
            Self::Show(args) => show(&args),
            Self::Check(args) => {
                check(&args.settings)?;
                print("the settings are sound\n")?;
                Ok(Exit::Done)
            }
        }
    }
}

/// All that `serve` would refuse before it touches anything.
fn check(settings: &SettingsArgs) -> anyhow::Result<()> {
    let config = settings.config()?;
    let store = target::store(&config, config.data_dir.clone()).map(drop);
    let checks = [store, logging::filter(&config).map(drop), serve::keys(&config).map(drop)];
    let mistakes: Vec<String> =
        checks.into_iter().filter_map(Result::err).map(|error| told(&error)).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(failure(Exit::Usage, mistakes.join("\n"))) }
}

fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let (resolved, _) = args.settings.layers()?.resolve();
    let rows: Vec<Row> = SETTINGS
        .iter()
        .map(|setting| {
            let origin = resolved.get(setting.key).map(|(_, origin)| origin.to_string());
            let value = origin.is_some().then(|| resolved.shown(setting.key));
            Row { key: setting.key, value, origin }
        })
        .collect();
    args.output.write(&rows, |out| {
        for Row { key, value, origin } in &rows {
            let value = value.as_deref().unwrap_or("(not set)");
            out.push_str(&format!("{key:<28} {value:<24} {}\n", origin.as_deref().unwrap_or("")));
        }
    })?;
    // What is shown may still be wrong: say so where it is looked at.
    if let Err(error) = check(&args.settings) {
        eprintln!("error: {}", told(&error));
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

/// A settings file in which every line is a comment: the defaults.
fn example() -> String {
    let mut text = String::from(
        "# Settings of doorbuster. What is commented out has the value shown, or none.\n\
         # A flag (--listen) is put over the environment (DOORBUSTER_LISTEN), that over this file.\n",
    );
    for setting in SETTINGS {
        let value = setting.default.unwrap_or("");
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = if number { value.to_owned() } else { format!("{value:?}") };
        text.push_str(&format!("\n# {}\n# {} = {value}\n", setting.help, setting.key));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Layers};

    #[test]
    fn the_example_is_a_settings_file_and_lies_in_the_repository() {
        let with_defaults: String = example()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") && !setting.ends_with("= \"\"") => setting,
                _ => "",
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let file = Some(("example".into(), with_defaults));
        let filled = Layers { file, ..Layers::default() };
        assert_eq!(Config::new(&filled), Config::new(&Layers::default()));
        let kept = include_str!("../../config/doorbuster.example.toml");
        assert_eq!(kept, example(), "doorbuster config example > config/doorbuster.example.toml");
    }
}
