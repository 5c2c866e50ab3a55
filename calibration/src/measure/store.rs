//! Tables on disk that grow while measuring goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use profiles::table::{Header, Kernel, KernelTable, Rows, TableError};

/// What is wrong with a folder of tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error("{file}: {error}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A table that is there cannot be continued because it is no table.
    #[error("{0}; move the file away to start anew")]
    Table(#[from] TableError),
    /// A table that is there was taken under other conditions.
    #[error(
        "{file} was measured with {key} = {there}, this run has {here}: rows of both do not belong into one table; \
         name another folder"
    )]
    Differs {
        /// The file.
        file: PathBuf,
        /// What differs.
        key: &'static str,
        /// What it is in the file.
        there: String,
        /// What it is now.
        here: String,
    },
}

/// A table on disk. It is replaced as a whole, so that a reader never sees half of it.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    table: KernelTable,
}

impl Store {
    /// The table `file` of a kind, as far as it is there, for rows taken as `header` says.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no table of this kind, or its rows were taken on another device, with other
    /// libraries, or in another way.
    pub fn open(file: &Path, kernel: Kernel, header: Header) -> Result<Self, StoreError> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Store { file: file.to_owned(), table: KernelTable { header, rows: Rows::none(kernel) } });
            }
            Err(error) => return Err(StoreError::File { file: file.to_owned(), error }),
        };
        let (table, _) = KernelTable::read(&text, &file.display().to_string())?;
        let there = &table.header;
        let same = [
            ("kernel", there.kernel.clone(), kernel.name().to_owned()),
            ("device", there.device.clone(), header.device.clone()),
            ("cache", format!("{:?}", there.cache), format!("{:?}", header.cache)),
            ("launch", format!("{:?}", there.launch), format!("{:?}", header.launch)),
            ("driver", format!("{:?}", there.driver), format!("{:?}", header.driver)),
            ("libraries", format!("{:?}", there.libraries), format!("{:?}", header.libraries)),
            ("power_limit_w", format!("{:?}", there.power_limit_w), format!("{:?}", header.power_limit_w)),
        ];
        for (key, there, here) in same {
            if there != here {
                return Err(StoreError::Differs { file: file.to_owned(), key, there, here });
            }
        }
        Ok(Store { file: file.to_owned(), table })
    }

    /// The rows so far.
    pub fn rows(&self) -> &Rows {
        &self.table.rows
    }

    /// The rows so far, to be added to.
    pub fn rows_mut(&mut self) -> &mut Rows {
        &mut self.table.rows
    }

    /// Says something about all rows.
    pub fn set_notes(&mut self, notes: String) {
        self.table.header.notes = Some(notes);
    }

    /// Writes the table as it is now.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self) -> Result<(), StoreError> {
        replace(&self.file, &self.table.write())
    }
}

/// Writes a file under another name first, so that it is there whole or not at all.
pub(crate) fn replace(file: &Path, text: &str) -> Result<(), StoreError> {
    let failed = |error| StoreError::File { file: file.to_owned(), error };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, text).map_err(failed)?;
    fs::rename(&unfinished, file).map_err(failed)
}
