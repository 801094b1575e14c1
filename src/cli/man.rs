//! `man`: manual pages.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use super::output::print_bytes;
use super::{Cli, usage_error};

/// Print the manual page of the program, or of one of its commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter man | man -l -
  sessionmeter man workspace create | man -l -
  sessionmeter man --directory /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// A command, such as import or workspace create
    #[arg(value_name = "COMMAND", conflicts_with = "directory")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &ManArgs) -> anyhow::Result<()> {
    let mut root = Cli::command().disable_help_subcommand(true);
    if let Some(directory) = &args.directory {
        return clap_mangen::generate_to(root, directory)
            .with_context(|| format!("can't write the pages into {}", directory.display()));
    }
    // Names of commands as they are typed, with the global options in each.
    root.build();
    let mut page = &root;
    for word in &args.command {
        page = page
            .find_subcommand(word)
            .ok_or_else(|| usage_error(format!("'{}' has no command '{word}'", page.get_name())))?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text)?;
    print_bytes(&text)
}
