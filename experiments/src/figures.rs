//! Figures that can go into a paper as they are.
//!
//! Each figure takes plain numbers and gives a [`Drawing`], which is written as SVG and as PNG. Text is outlined, so that
//! no font is needed to show it; colours are told apart with colour blindness and, with dashes and marks, in grey; every
//! axis names its unit; legends have a strip of their own and never cover data. The same numbers give the same bytes.

mod attainment;
mod axis;
mod cdf;
mod collect;
mod dots;
mod drawing;
mod font;
mod hit_rate;
mod legend;
mod png;
mod scale;
mod scatter;
mod set;
mod style;
mod svg;
mod timeline;
mod units;

#[cfg(test)]
mod tests;

pub(crate) use attainment::{AttainmentFigure, AttainmentSeries};
pub(crate) use cdf::{CdfFigure, CdfSeries};
pub(crate) use collect::TimelineCollector;
pub(crate) use dots::{DotFigure, DotRow};
pub(crate) use drawing::{Color, Drawing};
pub(crate) use hit_rate::{HitRateFigure, HitRateSeries};
pub(crate) use png::png;
pub(crate) use scatter::{ScatterFigure, ScatterSeries};
pub(crate) use set::{FigureSet, Format};
pub(crate) use style::{SERIES_COUNT, Width, series_style};
pub(crate) use svg::svg;
pub(crate) use timeline::{DECODE, PREFILL};
