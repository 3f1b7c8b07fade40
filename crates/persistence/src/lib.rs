//! Greenroom's repositories on SQLite, PostgreSQL and YAML files.
