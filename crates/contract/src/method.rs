//! One row of the table of port methods.

/// A method of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMethod {
    /// The port and the method, such as `ReadPositions::mark`.
    pub name: &'static str,
    /// The port alone, such as `ReadPositions`.
    pub port: &'static str,
    /// The call on a `Repositories`, such as `read_positions.mark`.
    pub call: &'static str,
    /// The effect on the store.
    pub access: Access,
}

/// The effect of a method on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Leaves the store as it is.
    Read,
    /// Leaves the store as it is, and may wait for a change for ever.
    Wait,
    /// May change the store.
    Write,
}
