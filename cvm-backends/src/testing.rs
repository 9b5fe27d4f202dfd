//! What tests need: of several modules, and behind the feature `testing` the bodies of the fuzz targets.

pub mod fuzz;

#[cfg(test)]
mod said;

#[cfg(test)]
pub(crate) use said::Said;
