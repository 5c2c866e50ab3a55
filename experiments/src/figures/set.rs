//! The files of a command's figures.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::output::OutputError;

use super::{Drawing, Figure, pdf, png, svg};

/// A file format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For papers and pages.
    Svg,
    /// For papers.
    Pdf,
    /// For screens, at 300 dpi.
    Png,
    /// For those who restyle: a Vega-Lite specification with the data in it.
    Vega,
}

impl Format {
    /// What commands that simulate write beside their tables.
    pub(crate) const USUAL: [Format; 2] = [Format::Svg, Format::Png];

    fn extension(self) -> &'static str {
        match self {
            Format::Svg => "svg",
            Format::Pdf => "pdf",
            Format::Png => "png",
            Format::Vega => "vl.json",
        }
    }

    /// The file; `None` for a figure that has no specification.
    fn bytes(self, figure: &Drawn) -> Option<Vec<u8>> {
        match self {
            Format::Svg => Some(svg(&figure.drawing).into_bytes()),
            Format::Pdf => Some(pdf(&figure.drawing)),
            Format::Png => Some(png(&figure.drawing)),
            Format::Vega => figure.vega.as_ref().map(|json| format!("{json:#}\n").into_bytes()),
        }
    }
}

/// A figure that has been drawn.
#[derive(Clone, Debug)]
struct Drawn {
    name: String,
    drawing: Drawing,
    vega: Option<Json>,
}

/// Figures with their names, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct FigureSet {
    figures: Vec<Drawn>,
}

impl FigureSet {
    /// Adds a drawing. Of `name`, only what every file system takes is kept (letters, digits, `-`, `_`, `.`); a name that is
    /// taken gets a number behind it.
    pub(crate) fn add(&mut self, name: &str, drawing: Drawing) {
        self.push(name, drawing, None);
    }

    /// Adds a figure under a name as [`add`](Self::add) makes it.
    pub(crate) fn add_figure(&mut self, name: &str, figure: &dyn Figure) {
        self.push(name, figure.draw(), Some(figure.vega()));
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }

    fn push(&mut self, name: &str, drawing: Drawing, vega: Option<Json>) {
        let plain = file_stem(name);
        let is_taken = |name: &str| self.figures.iter().any(|taken| taken.name == name);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name));
        self.figures.push(Drawn { name: free.unwrap_or(plain), drawing, vega });
    }

    /// Writes every figure in every format into `directory`, which is made if need be. A file appears complete or not at
    /// all, and replaces one of the same name. Returns the paths, figure by figure.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or a file not written.
    pub(crate) fn write(&self, directory: &Path, formats: &[Format]) -> Result<Vec<PathBuf>, OutputError> {
        fs::create_dir_all(directory)
            .map_err(|source| OutputError::Directory { directory: directory.to_owned(), source })?;
        let mut paths = Vec::new();
        for figure in &self.figures {
            for format in formats {
                let Some(bytes) = format.bytes(figure) else { continue };
                let path = directory.join(format!("{}.{}", figure.name, format.extension()));
                let part = directory.join(format!("{}.{}.part", figure.name, format.extension()));
                fs::write(&part, bytes)
                    .and_then(|()| fs::rename(&part, &path))
                    .map_err(|source| OutputError::Write { path: path.clone(), source })?;
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

/// What every file system takes of a name.
pub(crate) fn file_stem(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_whole_under_names_that_do_not_collide() {
        let directory = tempfile::tempdir().expect("a folder");
        let mut set = FigureSet::default();
        for name in ["steps_a b", "steps_a/b"] {
            set.add(name, Drawing::new(10.0, 10.0, name));
        }
        let folder = directory.path().join("figures");
        let paths = set.write(&folder, &Format::USUAL).expect("written");
        let names: Vec<_> = paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy()).collect();
        assert_eq!(names, ["steps_a-b.svg", "steps_a-b.png", "steps_a-b-2.svg", "steps_a-b-2.png"]);
        let left = fs::read_dir(&folder).expect("the folder").count();
        assert_eq!(left, 4, "no partial files stay behind");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = FigureSet::default().write(&file.path().join("figures"), &Format::USUAL).expect_err("not a folder");
        assert!(error.to_string().contains("figures"), "{error}");
    }
}
