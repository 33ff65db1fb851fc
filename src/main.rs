//! Starts the command line.

use std::process::ExitCode;

// Small objects come and go with every request, on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    doorbuster::cli::run()
}
