//! The program `citytap`, for tests of the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    citytap_analyzer::cli::main()
}
