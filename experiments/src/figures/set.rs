//! The files of a command's figures.

use std::fs;
use std::path::{Path, PathBuf};

use crate::output::OutputError;

use super::{Drawing, png, svg};

/// A file format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For papers.
    Svg,
    /// For screens, at 300 dpi.
    Png,
}

impl Format {
    /// All of them.
    pub(crate) const ALL: [Format; 2] = [Format::Svg, Format::Png];

    fn extension(self) -> &'static str {
        match self {
            Format::Svg => "svg",
            Format::Png => "png",
        }
    }

    fn bytes(self, drawing: &Drawing) -> Vec<u8> {
        match self {
            Format::Svg => svg(drawing).into_bytes(),
            Format::Png => png(drawing),
        }
    }
}

/// Figures with their names, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct FigureSet {
    figures: Vec<(String, Drawing)>,
}

impl FigureSet {
    /// Adds a figure. Of `name`, only what every file system takes is kept (letters, digits, `-`, `_`, `.`); a name that is
    /// taken gets a number behind it.
    pub(crate) fn add(&mut self, name: &str, drawing: Drawing) {
        let plain = file_stem(name);
        let is_taken = |name: &str| self.figures.iter().any(|(taken, _)| taken == name);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !is_taken(name));
        self.figures.push((free.unwrap_or(plain), drawing));
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
        for (name, drawing) in &self.figures {
            for format in formats {
                let path = directory.join(format!("{name}.{}", format.extension()));
                let part = directory.join(format!("{name}.{}.part", format.extension()));
                fs::write(&part, format.bytes(drawing))
                    .and_then(|()| fs::rename(&part, &path))
                    .map_err(|source| OutputError::Write { path: path.clone(), source })?;
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

fn file_stem(name: &str) -> String {
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
        let paths = set.write(&folder, &Format::ALL).expect("written");
        let names: Vec<_> = paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy()).collect();
        assert_eq!(names, ["steps_a-b.svg", "steps_a-b.png", "steps_a-b-2.svg", "steps_a-b-2.png"]);
        let left = fs::read_dir(&folder).expect("the folder").count();
        assert_eq!(left, 4, "no partial files stay behind");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = FigureSet::default().write(&file.path().join("figures"), &Format::ALL).expect_err("not a folder");
        assert!(error.to_string().contains("figures"), "{error}");
    }
}
