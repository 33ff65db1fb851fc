//! The command line: one file per command; wires the parts together.
