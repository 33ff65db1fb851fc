//! Starts what the command line names. Exit: 0 done, 1 a check failed, 2 usage, 5 could not be done.

use std::process::ExitCode;

use clap::Parser;
use doorbuster_bench::cli::Cli;

// As the engine's binary does, so that the bare side has the same allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => match error.downcast::<clap::Error>() {
            Ok(usage) => usage.exit(),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(5)
            }
        },
    }
}
