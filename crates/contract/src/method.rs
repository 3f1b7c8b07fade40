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
    /// The way in which the method uses the store.
    pub access: Access,
}

/// The way in which a method uses the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The method does not change the store.
    Read,
    /// The method does not change the store, and may wait for a change forever.
    Wait,
    /// The method may change the store.
    Write,
}
