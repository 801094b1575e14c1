//! The command line: one file per command.
//!
//! [`Cli`] is what is typed and [`run`] does it. What every command shares: `globals` (the store's directory,
//! `--json`, the configuration file), `lookup` (names and ids into nouns), `values` (what flags take), `output`
//! and `table` (standard output), `progress` (standard error).

mod account;
mod app;
mod backup;
mod completions;
mod config;
mod confirm;
mod dashboard;
mod demo;
mod export;
mod globals;
mod import;
mod key;
mod listen;
mod logging;
mod lookup;
mod man;
mod migrate;
mod output;
mod progress;
mod restore;
mod segment;
mod series;
pub mod serve;
mod share;
mod spool;
mod stopping;
mod table;
mod terminal;
mod user;
mod values;
mod verify;
mod workspace;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

pub use self::config::Config;
pub use self::globals::{GlobalArgs, Globals};
pub use self::logging::LogFormat;
pub use self::output::{exit, one_line, output_was_closed, wrong_usage};

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
All commands work while the server runs, which honours what they make at once and what they change within one second.
Exit codes: 0 done, 1 failed, 2 wrong usage, 141 nobody read the output any more (as after SIGPIPE).";

const SERVE_EXAMPLES: &str = "\
Examples:
  sessionmeter serve
  sessionmeter serve --data /var/lib/sessionmeter --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    ///
    /// An empty store gets a workspace, an app and an API key with all permissions, all named 'default'; the key is
    /// shown this once. SIGTERM and SIGINT finish what was accepted, then stop, within ten seconds.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    #[command(subcommand)]
    Workspace(workspace::WorkspaceCommand),
    #[command(subcommand)]
    App(app::AppCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Segment(segment::SegmentCommand),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Dashboard(dashboard::DashboardCommand),
    #[command(subcommand)]
    Account(account::AccountCommand),
    #[command(subcommand)]
    Share(share::ShareCommand),
    Series(series::SeriesArgs),
    Import(import::ImportArgs),
    Export(export::ExportArgs),
    Migrate(migrate::MigrateArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Verify(verify::VerifyArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Cli {
    /// Reads the program's name and arguments.
    ///
    /// # Errors
    /// Wrong usage, or a request for help: [`clap::Error::exit`] prints either.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(arguments)?;
        // Clap can't check this itself where the global option stands before the command.
        if let Command::Series(series) = &cli.command
            && series.csv
            && cli.globals.json
        {
            let message = "the argument '--csv' cannot be used with '--json'";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(cli)
    }
}

/// Wrong usage that shows only when the command has begun.
fn usage_error(message: impl std::fmt::Display) -> anyhow::Error {
    Cli::command().error(ErrorKind::ValueValidation, message).into()
}

/// Does what was typed.
///
/// Futures are compiled where they are driven: here, with everything else, and not in the program after all of that.
///
/// # Errors
/// Whatever keeps the command from doing its job; [`one_line`] puts it into words.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(do_command(cli))
}

async fn do_command(cli: Cli) -> anyhow::Result<()> {
    stopping::outlive_file_size_limit()?;
    match &cli.command {
        // These are about the program and not about a store.
        Command::Completions(args) => return completions::run(args),
        Command::Man(args) => return man::run(args),
        _ => {}
    }
    let globals = Globals::new(cli.globals)?;
    if !matches!(cli.command, Command::Serve(_) | Command::Demo(_)) {
        // Those two have a log.
        output::show_notices();
    }
    match cli.command {
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Serve(args) => serve::run(args, &globals).await,
        Command::Demo(args) => demo::run(args, &globals).await,
        Command::Workspace(command) => workspace::run(command, &globals).await,
        Command::App(command) => app::run(command, &globals).await,
        Command::Key(command) => key::run(command, &globals).await,
        Command::Segment(command) => segment::run(command, &globals).await,
        Command::User(command) => user::run(command, &globals).await,
        Command::Dashboard(command) => dashboard::run(command, &globals).await,
        Command::Account(command) => account::run(command, &globals).await,
        Command::Share(command) => share::run(command, &globals).await,
        Command::Series(args) => series::run(args, &globals).await,
        Command::Import(args) => import::run(args, &globals).await,
        Command::Export(args) => export::run(args, &globals).await,
        Command::Migrate(args) => migrate::run(args, &globals).await,
        Command::Backup(args) => backup::run(args, &globals).await,
        Command::Restore(args) => restore::run(args, &globals).await,
        Command::Verify(args) => verify::run(args, &globals).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        fn check(command: &mut clap::Command) {
            let name = command.get_name().to_owned();
            if name == "help" {
                return;
            }
            assert!(command.get_about().is_some(), "{name}");
            if command.has_subcommands() {
                command.get_subcommands_mut().for_each(check);
                return;
            }
            let help = command.render_long_help().to_string();
            let example = help
                .split_once("Example")
                .map(|(_, example)| example)
                .unwrap_or_default();
            assert!(example.contains(&format!(" {name}")), "{help}");
        }
        let mut root = Cli::command();
        root.build();
        root.get_subcommands_mut().for_each(check);
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            "sessionmeter --json workspace list",
            "sessionmeter workspace list --json",
        ] {
            assert!(read(line).unwrap().globals.json);
        }
    }

    #[test]
    fn csv_and_json_exclude_each_other() {
        assert!(read("sessionmeter series --csv").is_ok());
        for line in [
            "sessionmeter --json series --csv",
            "sessionmeter series --csv --json",
        ] {
            assert_eq!(read(line).unwrap_err().kind(), ErrorKind::ArgumentConflict);
        }
    }
}
