//! The program `citytap`: thin; each subcommand has its file under `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    citytap_analyzer::cli::main()
}
