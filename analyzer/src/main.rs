//! The program `citytap`: thin; each subcommand has its file under `cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    citytap_analyzer::cli::main()
}
