//! Decorates Greenroom's repository ports with coherent caching.
