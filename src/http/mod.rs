//! The HTTP layer: stateless; parses, authenticates, asks the engine, renders.
