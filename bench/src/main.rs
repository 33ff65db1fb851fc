//! Starts what the command line names.

fn main() {}
