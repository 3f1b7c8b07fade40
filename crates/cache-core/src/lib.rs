//! A coherent TTL cache: never a stale read after an acknowledged write.
