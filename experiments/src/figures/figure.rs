//! What every kind of figure can do.

use serde_json::Value as Json;

use super::Drawing;

/// A figure: numbers that know how to be drawn, and how to be restyled elsewhere.
pub(crate) trait Figure {
    /// The picture.
    fn draw(&self) -> Drawing;

    /// The same numbers as a Vega-Lite specification, data included.
    fn vega(&self) -> Json;
}
