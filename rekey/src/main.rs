//! The program `citytap-rekey`: thin; each subcommand has its file under `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    citytap_rekey::cli::main()
}
