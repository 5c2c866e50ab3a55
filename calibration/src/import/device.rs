//! Which device and which model a source means.

use profiles::{DeviceSpec, ModelSpec, ProfileError};

use super::Known;
use super::error::ImportError;

/// Letters by which a name may differ from the one that is suggested.
const MOST_SLIPS: usize = 2;

/// The device that a source calls `name`: that of the caller if it bears the name, else the shipped one.
///
/// # Errors
///
/// [`ImportError::Device`] if the caller's device has another name, or no shipped one has it.
pub fn find_device(file: &str, name: &str, known: Known<'_>) -> Result<DeviceSpec, ImportError> {
    let wrong = |problem| ImportError::Device { file: file.to_string(), problem };
    let plain = name.split('@').next().unwrap_or(name);
    let called = |device: &DeviceSpec| std::iter::once(&device.name).chain(&device.aliases).any(|one| same(one, plain));
    match known.device {
        Some(device) if called(device) => Ok(device.clone()),
        Some(device) => Err(wrong(format!(
            "it was measured on `{name}`, and {} was asked for; name the device that was measured, or leave it out",
            device.name
        ))),
        None => DeviceSpec::shipped(&plain.replace('_', "-")).map_err(|error| {
            let near = match error {
                ProfileError::UnknownName { suggestion: Some(near), .. } if is_slip(plain, &near) => {
                    format!(" (is it `{near}`?)")
                }
                _ => String::new(),
            };
            wrong(format!(
                "it was measured on `{name}`, which is no shipped device{near}; give a device file that has this name \
                 or alias"
            ))
        }),
    }
}

/// Whether a name may be another one with a slip of the keys: few letters differ, but no digit and nothing of the
/// designation, for V100, H100 and H200 are three devices.
fn is_slip(name: &str, other: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let alike = digits(name) == digits(other) && designation(name) == designation(other);
    alike && distance(&name.to_lowercase(), &other.to_lowercase()) <= MOST_SLIPS
}

/// Letters and digits of a name up to the end of its first number, such as `h100` or `rtx4090`.
fn designation(name: &str) -> String {
    let mut found = String::new();
    for c in name.chars().filter(char::is_ascii_alphanumeric) {
        if found.ends_with(|last: char| last.is_ascii_digit()) && !c.is_ascii_digit() {
            break;
        }
        found.push(c.to_ascii_lowercase());
    }
    found
}

/// Letters that have to be put in, left out or changed to make one text of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, &b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

fn same(one: &str, other: &str) -> bool {
    one.replace('_', "-").eq_ignore_ascii_case(&other.replace('_', "-"))
}

/// The model that a source calls `name`: the caller's, else the shipped one.
///
/// # Errors
///
/// [`ImportError::Model`] if no shipped model has the name and the caller names none.
pub fn find_model(file: &str, name: &str, known: Known<'_>) -> Result<ModelSpec, ImportError> {
    match (shipped_model(name), known.model) {
        (Ok(model), None) => Ok(model),
        (Ok(model), Some(asked)) if model.name == asked.name => Ok(model),
        (Ok(model), Some(asked)) => Err(ImportError::Model {
            file: file.to_string(),
            problem: format!(
                "it was measured with {}, and {} was asked for; name the model that was measured, or leave it out",
                model.name, asked.name
            ),
        }),
        (Err(_), Some(asked)) => Ok(asked.clone()),
        (Err(_), None) => Err(ImportError::Model {
            file: file.to_string(),
            problem: format!(
                "it was measured with `{name}`, which is no shipped model, and only the model says how large its \
                 matrices are; give its `config.json`"
            ),
        }),
    }
}

/// The shipped model of this name, with or without its owner.
fn shipped_model(name: &str) -> Result<ModelSpec, ProfileError> {
    let short = |full: &&String| full.rsplit('/').next().is_some_and(|short| short.eq_ignore_ascii_case(name));
    let names = ModelSpec::shipped_names();
    ModelSpec::shipped(names.iter().find(short).map_or(name, String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_goes_by_any_of_its_names() {
        for name in ["H200", "h200_sxm", "NVIDIA H200"] {
            assert_eq!(find_device("t.csv", name, Known::default()).expect("shipped").name, "H200-SXM-141GB");
        }
    }

    #[test]
    fn another_device_than_was_asked_for_is_refused() {
        let h100 = DeviceSpec::shipped("H100").expect("shipped");
        let known = Known { device: Some(&h100), ..Known::default() };
        assert_eq!(
            find_device("t.csv", "H200", known).expect_err("another").to_string(),
            "t.csv: it was measured on `H200`, and H100-SXM-80GB was asked for; name the device that was measured, or \
             leave it out"
        );
    }

    #[test]
    fn an_unknown_device_or_model_says_what_to_give() {
        let device = find_device("t.csv", "Gaudi3", Known::default()).expect_err("unknown").to_string();
        assert_eq!(
            device,
            "t.csv: it was measured on `Gaudi3`, which is no shipped device; give a device file that has this name or \
             alias"
        );
        let said = |name: &str| find_device("t.csv", name, Known::default()).expect_err("unknown").to_string();
        for name in ["A6000", "RTX3090", "H800", "H300", "V100", "A1000"] {
            assert!(!said(name).contains("is it"), "another number is another device: {}", said(name));
        }
        for (slip, near) in [("H100-SMX", "H100-SXM"), ("rtx-4090-24gbx", "RTX-4090-24GB")] {
            assert!(said(slip).contains(&format!("(is it `{near}`?)")), "{}", said(slip));
        }
        let model = find_model("t.csv", "microsoft/phi-2", Known::default()).expect_err("unknown").to_string();
        assert!(model.ends_with("only the model says how large its matrices are; give its `config.json`"), "{model}");
    }
}
