//! Models and devices by name or path, and digests of what was read.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use profiles::{DeviceSpec, ModelSpec, ProfileError};
use sha2::{Digest as _, Sha256};

use crate::diagnostic::{Problem, Sources};
use crate::file::key::Key;
use crate::file::reader::Reader;

/// The model a key names.
pub(crate) fn model(reader: &mut Reader<'_>, key: &'static Key, sources: &Sources) -> Result<ModelSpec, Problem> {
    named(reader, key, sources, "json", ModelSpec::shipped, model_file)
}

fn model_file(text: &str, path: &str) -> Result<ModelSpec, ProfileError> {
    ModelSpec::from_hf_config(text, path, path)
}

/// The device a key names.
pub(crate) fn device(reader: &mut Reader<'_>, key: &'static Key, sources: &Sources) -> Result<DeviceSpec, Problem> {
    named(reader, key, sources, "toml", DeviceSpec::shipped, DeviceSpec::from_toml)
}

/// A shipped thing, or one described by a file. A value is taken as a path if it ends as such files do.
fn named<T>(
    reader: &mut Reader<'_>,
    key: &'static Key,
    sources: &Sources,
    extension: &str,
    shipped: impl Fn(&str) -> Result<T, ProfileError>,
    from_text: impl Fn(&str, &str) -> Result<T, ProfileError>,
) -> Result<T, Problem> {
    let name: String = reader.get(key);
    let ends_so = Path::new(&name).extension().is_some_and(|end| end.eq_ignore_ascii_case(extension));
    if !ends_so {
        return shipped(&name).map_err(|error| unknown(reader, key, &error));
    }
    let Some(path) = reader.path(key, sources) else { unreachable!("`{name}` is written, or a default would be read") };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        reader.problem(key, format!("`{}` cannot be read", key.name)).label(format!("{}: {error}", path.display()))
    })?;
    let shown = path.display().to_string();
    from_text(&text, &shown)
        .map_err(|error| reader.problem(key, format!("`{}` cannot be used", key.name)).label(error.to_string()))
}

fn unknown(reader: &Reader<'_>, key: &'static Key, error: &ProfileError) -> Problem {
    let ProfileError::UnknownName { kind, name, suggestion, known } = error else {
        return reader.problem(key, format!("`{}` cannot be used", key.name)).label(error.to_string());
    };
    let problem = reader.problem(key, format!("no shipped {kind} is named `{name}`"));
    let of_ones_own = match *kind {
        "model" => {
            "of a model that is not shipped, write the path of its Hugging Face config.json; it has to end in `.json`"
        }
        _ => {
            "of a device that is not shipped, write the path of a file with its datasheet (docs/gpu-file.md); it has to end in `.toml`"
        }
    };
    match suggestion {
        Some(meant) => problem.label(format!("did you mean `{meant}`?")),
        None => problem.label(format!("no shipped {kind} is called alike")).help(format!("shipped: {known}")),
    }
    .help(of_ones_own)
}

/// SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// SHA-256 of a file, as `sha256sum` prints it; of a folder, of its files in the order of their names.
pub(crate) fn file_sha256(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    if path.is_dir() {
        let mut files: Vec<_> =
            std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            feed(&mut hasher, file)?;
        }
    } else {
        feed(&mut hasher, path)?;
    }
    Ok(hex(&hasher.finalize()))
}

fn feed(hasher: &mut Sha256, path: &Path) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_other_tools_print() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
