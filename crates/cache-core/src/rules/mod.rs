//! The seam at which tests disable one rule of the protocol at a time.
//!
//! The protocol passes its decisions through [`Rules`]. In a normal build every rule is kept and
//! each function returns its argument; the compiler removes the calls. With the feature `faults`
//! a test can break one rule, to show that it would notice.

#[cfg(feature = "faults")]
mod fault;
#[cfg(not(feature = "faults"))]
mod kept;
#[cfg(feature = "faults")]
mod planted;

#[cfg(feature = "faults")]
pub(crate) use fault::Rules;
#[cfg(not(feature = "faults"))]
pub(crate) use kept::Rules;
#[cfg(feature = "faults")]
pub use planted::Fault;

#[cfg(test)]
pub(crate) mod tests {
    use super::Rules;

    /// Returns the rules, none of which is broken.
    pub(crate) fn rules() -> Rules {
        #[cfg(feature = "faults")]
        return Rules::without(
            crate::Fault::None,
            crate::Runtime::new(crate::Clock::manual().0, drop),
        );
        #[cfg(not(feature = "faults"))]
        Rules
    }
}
