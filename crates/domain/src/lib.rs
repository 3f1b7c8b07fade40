//! Entities, ids, errors and repository ports of Greenroom.
