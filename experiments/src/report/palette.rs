//! The colours of systems, prompts and decodes, as they are in the figures, and what stands for them on dark paper.

use std::fmt::Write as _;

use crate::figures::{Color, DECODE, PREFILL, SERIES_COUNT, series_style};

/// On dark paper, in the order of the figures' colours: the same hues, light enough to have a contrast of 4.5 to 1.
const ON_DARK: [&str; SERIES_COUNT] =
    ["#6ea8ec", "#f08a4b", "#2fc79b", "#d884c6", "#f2b53c", "#e6e8eb", "#9fd6f7", "#9aa0a6"];
/// Prompts and decodes on dark paper.
const STEPS_ON_DARK: [&str; 2] = ["#6ea8ec", "#f0a830"];

/// Style sheet rules: the variables `--s0`… and `--prefill`, `--decode`; the classes `s0`… of lines and `f0`… of marks.
pub(super) fn css() -> String {
    let light: Vec<String> = (0..SERIES_COUNT).map(|index| hex(series_style(index).stroke.color)).collect();
    let light: Vec<&str> = light.iter().map(String::as_str).collect();
    let (prefill, decode) = (hex(PREFILL), hex(DECODE));
    let on_light = variables(&light, [&prefill, &decode], "#ffffff", "#1a1a1a");
    let on_dark = variables(&ON_DARK, STEPS_ON_DARK, "#14171a", "#14171a");
    let mut css = format!(
        ":root{{{on_light}}}\n@media (prefers-color-scheme: dark){{:root{{{on_dark}}}}}\n@media \
         print{{:root{{{on_light}}}}}\n"
    );
    for index in 0..SERIES_COUNT {
        let style = series_style(index);
        let dash: Vec<String> = style.stroke.dash.iter().map(|length| format!("{:.1}", length * 1.4)).collect();
        let dash = if dash.is_empty() { "none".to_owned() } else { dash.join(" ") };
        let _ = writeln!(
            css,
            ".s{index}{{stroke:var(--s{index});stroke-dasharray:{dash}}}.f{index}{{fill:var(--s{index})}}"
        );
    }
    // What says how far seeds lie apart is no curve.
    css + ".range{stroke-dasharray:none}\n"
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

fn variables(series: &[&str], [prefill, decode]: [&str; 2], on_prefill: &str, on_decode: &str) -> String {
    let mut text = String::new();
    for (index, color) in series.iter().enumerate() {
        let _ = write!(text, "--s{index}:{color};");
    }
    let _ = write!(text, "--prefill:{prefill};--decode:{decode};--on-prefill:{on_prefill};--on-decode:{on_decode};");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two colours (Web Content Accessibility Guidelines 2.2, definition of contrast ratio).
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |color: &str| {
            let channel = |at: usize| {
                let c = f64::from(u8::from_str_radix(&color[at..at + 2], 16).expect("colours are hexadecimal")) / 255.0;
                if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_stands_out_from_dark_paper() {
        for color in ON_DARK.iter().chain(&STEPS_ON_DARK) {
            assert!(contrast(color, "#1d2125") >= 4.5, "{color} has {:.2}", contrast(color, "#1d2125"));
        }
    }

    #[test]
    fn the_page_has_the_figures_colours() {
        let css = css();
        assert!(
            css.contains("--s0:#004488;") && css.contains("--s1:#D55E00;") && css.contains("--prefill:#004488;"),
            "{css}"
        );
    }
}
