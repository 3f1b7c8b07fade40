//! Greenroom, wired together.
