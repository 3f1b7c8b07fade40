//! The report of the benchmarks: sections with tables, plots and ratios, their form in Markdown,
//! and the committed results.

pub mod document;
pub mod origin;
pub mod plot;
pub mod ratio;
pub mod results;
pub mod section;
pub mod table;
