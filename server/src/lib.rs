//! The reference remote.
