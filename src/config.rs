//! Settings: flag, environment, file, default; each value knows where it came from.
