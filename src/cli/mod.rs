//! The command line: one file per command.
//!
//! [`Cli`] is what is typed and [`run`] does it. What every command shares: [`globals`] (the store's directory,
//! `--json`, the configuration file), [`lookup`] (names and ids into nouns) and [`output`] (stdout, tables).

mod app;
mod backup;
mod config;
mod demo;
mod globals;
mod import;
mod key;
mod lookup;
mod output;
mod restore;
mod series;
pub mod serve;
mod values;
mod verify;
mod workspace;

use clap::{Parser, Subcommand};

pub use self::config::Config;
pub use self::globals::{GlobalArgs, Globals};
pub use self::output::{one_line, output_was_closed};

/// Counts app sessions and answers GET /sessions/data_series from your own machine.
///
/// Start with 'sessionmeter demo' to look around, or with 'sessionmeter serve' to use it.
#[derive(Debug, Parser)]
#[command(name = "sessionmeter", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    globals: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage. All commands work while the server runs; it honours what they
changed within one second.";

const SERVE_EXAMPLES: &str = "\
Examples:
  sessionmeter serve
  sessionmeter serve --data /var/lib/sessionmeter --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    ///
    /// An empty store gets a workspace, an app and an API key with all permissions, all named 'default'; the key is
    /// shown this once. SIGTERM and SIGINT finish what was accepted, then stop.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
    #[command(subcommand)]
    App(app::AppCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    Series(series::SeriesArgs),
    Import(import::ImportArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Verify(verify::VerifyArgs),
}

/// Does what was typed.
///
/// # Errors
/// Whatever keeps the command from doing its job; [`one_line`] puts it into words.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let globals = Globals::new(cli.globals)?;
    match cli.command {
        Command::Serve(args) => serve::run(args, &globals).await,
        Command::Demo(args) => demo::run(args, &globals).await,
        Command::Workspace(command) => workspace::run(command, &globals).await,
        Command::App(command) => app::run(command, &globals).await,
        Command::Key(command) => key::run(command, &globals).await,
        Command::Series(args) => series::run(args, &globals).await,
        Command::Import(args) => import::run(args, &globals).await,
        Command::Backup(args) => backup::run(args, &globals).await,
        Command::Restore(args) => restore::run(args, &globals).await,
        Command::Verify(args) => verify::run(args, &globals).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        fn check(command: &mut clap::Command) {
            let name = command.get_name().to_owned();
            if command.has_subcommands() {
                assert!(command.get_about().is_some(), "{name}");
                command.get_subcommands_mut().for_each(check);
            } else if name != "help" {
                let help = command.render_long_help().to_string();
                assert!(help.contains("Example"), "{name}: {help}");
                assert!(help.contains("sessionmeter "), "{name}: {help}");
            }
        }
        Cli::command().get_subcommands_mut().for_each(check);
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            ["sessionmeter", "--json", "workspace", "list"],
            ["sessionmeter", "workspace", "list", "--json"],
        ] {
            assert!(Cli::try_parse_from(line).unwrap().globals.json);
        }
    }

    #[test]
    fn csv_and_json_exclude_each_other() {
        for line in [
            ["sessionmeter", "--json", "series", "--csv"],
            ["sessionmeter", "series", "--csv", "--json"],
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().kind(),
                clap::error::ErrorKind::ArgumentConflict
            );
        }
    }
}
