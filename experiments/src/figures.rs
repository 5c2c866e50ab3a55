//! Figures that can go into a paper as they are.
//!
//! Each [`Figure`] takes plain numbers and gives a [`Drawing`], which is written as SVG, PDF and PNG, and the same numbers as
//! a Vega-Lite specification. Text is outlined, so that no font is needed to show it; colours are told apart with colour
//! blindness and, with dashes, marks and hatches, in grey; every axis names its unit; intervals are drawn; legends have a
//! strip of their own and never cover data. The same numbers give the same bytes.

mod attainment;
mod axis;
mod bars;
mod cdf;
mod collect;
mod deployments;
mod dots;
mod drawing;
mod figure;
mod font;
mod frame;
mod frontier;
mod heatmap;
mod legend;
mod lines;
mod over_time;
mod pdf;
mod png;
mod scale;
mod scatter;
mod set;
mod style;
mod svg;
mod timeline;
mod units;
mod vega;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use attainment::{AttainmentFigure, AttainmentSeries, SearchLook};
pub(crate) use bars::{BarFigure, BarRow};
pub(crate) use cdf::{CdfFigure, CdfSeries, Sample};
pub(crate) use collect::TimelineCollector;
pub(crate) use deployments::{DeploymentMeasure, DeploymentPoint, DeploymentsFigure};
pub(crate) use dots::{DotFigure, DotRow};
pub(crate) use drawing::{Color, Drawing};
pub(crate) use figure::Figure;
pub(crate) use frontier::{FrontierFigure, FrontierPoint, FrontierSeries, Towards};
pub(crate) use heatmap::{HeatMap, HeatmapFigure};
pub(crate) use lines::{LinePoint, LineSeries, LinesFigure};
pub(crate) use over_time::{OverTimeFigure, TimePanel};
pub(crate) use pdf::pdf;
pub(crate) use png::png;
pub(crate) use scatter::{ScatterFigure, ScatterSeries};
pub(crate) use set::{FigureSet, Format, file_stem};
pub(crate) use style::{SERIES_COUNT, Width, series_style};
pub(crate) use svg::svg;
pub(crate) use timeline::Bar;
pub(crate) use timeline::{DECODE, PREFILL};
pub(crate) use work::{WorkFigure, WorkPanel, WorkStep};
