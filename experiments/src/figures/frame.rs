//! The layout that most figures share: one panel with two axes, and the legend in a strip above it.

use super::axis::{self, Panel, RIGHT_MARGIN, X_AXIS_HEIGHT, draw_axes, draw_no_data};
use super::drawing::{Drawing, Rect, at};
use super::legend::{Key, Legend};
use super::scale::Scale;
use super::style::Width;

/// Height of the panel, in points.
pub(super) const PANEL_HEIGHT: f64 = 118.0;
const LEGEND_GAP: f64 = 4.0;

/// One panel under a legend.
pub(super) struct Frame<'a> {
    /// What the picture shows, for those who cannot see it.
    pub(super) title: &'a str,
    pub(super) width: Width,
    pub(super) legend: Vec<(Key, String)>,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// Labels with units.
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
    pub(super) is_empty: bool,
}

impl Frame<'_> {
    /// Draws axes and legend; the panel is for the data.
    pub(super) fn draw(self) -> (Drawing, Panel) {
        let y_ticks = axis::y_ticks(self.y, PANEL_HEIGHT, false);
        let (left, width) = (axis::left_margin(&y_ticks), self.width.points());
        let right = width - RIGHT_MARGIN;
        let legend = Legend::new(self.legend, right - left);
        let top = 1.0 + legend.height() + LEGEND_GAP;
        let area = Rect { left, top, right, bottom: top + PANEL_HEIGHT };
        let mut drawing = Drawing::new(width, area.bottom + X_AXIS_HEIGHT + 2.5, self.title);
        let panel = Panel { area, x: self.x, y: self.y };
        draw_axes(&mut drawing, &panel, &y_ticks, self.y_label, Some(self.x_label));
        if self.is_empty {
            draw_no_data(&mut drawing, area, "no data");
        }
        legend.draw(&mut drawing, at(left, 1.0));
        (drawing, panel)
    }
}
