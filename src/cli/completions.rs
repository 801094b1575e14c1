//! `completions`: what shells complete.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::output::print_bytes;

/// Print what a shell needs to complete commands and options
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sessionmeter completions bash > ~/.local/share/bash-completion/completions/sessionmeter
  sessionmeter completions zsh > ~/.zfunc/_sessionmeter
  sessionmeter completions fish > ~/.config/fish/completions/sessionmeter.fish")]
pub(super) struct CompletionsArgs {
    /// Whose language it is in
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print_bytes(&script)
}
