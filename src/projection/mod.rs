//! The projection: durable records, in order, exactly once, into SQL.
