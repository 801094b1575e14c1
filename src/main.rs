//! Parses the command line, runs one command and turns its outcome into an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use sessionmeter::cli::{self, Cli};

/// As a shell reports a program that SIGPIPE has ended.
const BROKEN_PIPE: u8 = 141;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(usage) => cli::exit(&usage),
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough: `sessionmeter key list | head -1`. There is nothing to say, but the
        // output is not complete.
        Err(error) if cli::output_was_closed(&error) => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            if let Some(usage) = cli::wrong_usage(&error) {
                cli::exit(usage);
            }
            // There is nobody left to tell if stderr is closed too.
            let _ = writeln!(std::io::stderr(), "sessionmeter: {}", cli::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
