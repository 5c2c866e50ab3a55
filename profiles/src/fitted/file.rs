//! Files of fitted profiles.

use std::fmt::Write as _;

use super::experts::ExpertsShape;
use super::feature::Feature;
use super::gemm::GemmShape;
use super::prefill::Heads;
use super::profile::{FittedKernel, FittedProfile};
use crate::error::ProfileError;

/// Numbers of a surface on one line.
const NUMBERS_PER_LINE: usize = 16;

impl FittedProfile {
    /// Reads a profile. `file` is the name used in errors.
    ///
    /// # Errors
    ///
    /// If the text is not TOML, a key is missing, unknown or of the wrong type, or a number is out of range.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|error| ProfileError::Syntax {
            file: file.to_string(),
            problem: error.to_string().trim_end().to_string(),
        })?;
        match profile.problem() {
            Some((field, problem)) => Err(ProfileError::Field { file: file.to_string(), field, problem }),
            None => Ok(profile),
        }
    }

    /// The file, `header` as a comment on top.
    pub fn to_toml(&self, header: &str) -> String {
        let mut text = String::new();
        for line in header.lines() {
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
        let _ = write!(text, "\ndevice = {:?}\ndate = {:?}\n", self.device, self.date);
        for (name, kernels, _) in self.kernels() {
            for kernel in kernels {
                write_kernel(&mut text, name, kernel);
            }
        }
        write_section(&mut text, "elementwise", self.elementwise.as_ref());
        write_section(&mut text, "all_reduce", self.all_reduce.as_ref());
        write_section(&mut text, "all_to_all", self.all_to_all.as_ref());
        write_section(&mut text, "energy", self.energy.as_ref());
        text
    }

    /// Kinds of kernels: the name, those fitted, and the features that their surfaces may have.
    fn kernels(&self) -> [(&'static str, &[FittedKernel], &'static [Feature]); 4] {
        [
            ("gemm", &self.gemm, &GemmShape::FEATURES),
            ("prefill_attention", &self.prefill_attention, &Heads::PREFILL_FEATURES),
            ("decode_attention", &self.decode_attention, &Heads::DECODE_FEATURES),
            ("experts", &self.experts, &ExpertsShape::FEATURES),
        ]
    }

    /// Numbers that its surfaces are made of.
    pub fn values(&self) -> usize {
        let kernels = self.kernels();
        kernels.iter().flat_map(|(_, kernels, _)| kernels.iter()).map(|kernel| kernel.surface.values()).sum()
    }

    /// The first field that is wrong, and how.
    fn problem(&self) -> Option<(String, String)> {
        for (name, kernels, features) in self.kernels() {
            for kernel in kernels {
                let field = |what: &str| format!("{name} ({}): {what}", kernel.format.name());
                if !(0.1..=1000.0).contains(&kernel.floor_us) {
                    let problem = format!("{} is out of range; expected 0.1 to 1000", kernel.floor_us);
                    return Some((field("floor_us"), problem));
                }
                if let Some(problem) = kernel.surface.problem(features) {
                    return Some((field("surface"), problem));
                }
            }
            let repeated = (1..kernels.len()).find(|&i| kernels[..i].iter().any(|k| k.format == kernels[i].format));
            if let Some(index) = repeated {
                return Some((name.to_string(), format!("`{}` occurs twice", kernels[index].format.name())));
            }
        }
        let small = [
            ("elementwise: kernel_us", self.elementwise.as_ref().map(|fit| fit.kernel_us), 1000.0),
            ("elementwise: memory", self.elementwise.as_ref().map(|fit| fit.memory), 5.0),
            ("all_reduce: latency_us", self.all_reduce.as_ref().map(|fit| fit.latency_us), 10_000.0),
            ("all_to_all: floor_us", self.all_to_all.as_ref().map(|fit| fit.floor_us), 10_000.0),
            ("all_to_all: efficiency", self.all_to_all.as_ref().map(|fit| fit.efficiency), 1.5),
        ];
        for value in
            self.all_reduce.iter().flat_map(|fit| fit.second_phase_us.into_iter().chain([fit.second_phase_bytes]))
        {
            if !(value >= 0.0 && value.is_finite()) {
                return Some((
                    "all_reduce: second_phase".to_string(),
                    format!("{value} is out of range; expected 0 or more"),
                ));
            }
        }
        let efficiencies = self.all_reduce.iter().flat_map(|fit| fit.efficiency);
        let efficiencies = efficiencies.map(|value| ("all_reduce: efficiency", Some(value), 1.5));
        for (field, value, highest) in small.into_iter().chain(efficiencies) {
            if let Some(value) = value.filter(|value| !(*value > 0.0 && *value <= highest)) {
                return Some((field.to_string(), format!("{value} is out of range; expected above 0 to {highest}")));
            }
        }
        let energy = self.energy.as_ref()?;
        let kinds = [energy.gemm, energy.prefill_attention, energy.decode_attention, energy.experts];
        let shares = kinds.iter().flat_map(|kind| [kind.busy, kind.flops, kind.memory]);
        let wrong = shares.into_iter().find(|share| !(0.0..=3.0).contains(share))?;
        Some(("energy".to_string(), format!("{wrong} is out of range; expected 0 to 3")))
    }
}

fn write_kernel(text: &mut String, name: &str, kernel: &FittedKernel) {
    let error = kernel.error_percent;
    let _ = write!(
        text,
        "\n[[{name}]]\nformat = {:?}\nfloor_us = {}\nsource = {:?}\nrows = {}\nleft_out = {:?}\nerror_percent = {{ median \
         = {:.1}, p95 = {:.1}, bias = {:.1}, mean = {:.1} }}\nsurface = [\n",
        kernel.format.name(),
        kernel.floor_us,
        kernel.source,
        kernel.rows,
        kernel.left_out,
        error.median,
        error.p95,
        error.bias,
        error.mean
    );
    for term in &kernel.surface.terms {
        text.push_str("  { axes = [\n");
        for axis in &term.axes {
            let knots: Vec<String> = axis.knots.iter().map(|knot| number(*knot)).collect();
            let feature = toml::Value::try_from(axis.feature).expect("a feature is a name");
            let _ = writeln!(text, "      {{ feature = {feature}, knots = [{}] }},", knots.join(", "));
        }
        text.push_str("    ], values = [\n");
        for values in term.values.chunks(NUMBERS_PER_LINE) {
            let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
            let _ = writeln!(text, "      {},", values.join(", "));
        }
        text.push_str("    ] },\n");
    }
    text.push_str("]\n");
}

/// A number with three decimals at most, and at least one.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let short = text.trim_end_matches('0');
    let short = if short.ends_with('.') { format!("{short}0") } else { short.to_string() };
    if short == "-0.0" { "0.0".to_string() } else { short }
}

fn write_section<T: serde::Serialize>(text: &mut String, name: &str, section: Option<&T>) {
    if let Some(section) = section {
        let section =
            toml::Table::from_iter([(name.to_string(), toml::Value::try_from(section).expect("plain figures"))]);
        let _ = write!(text, "\n{}", toml::to_string(&section).expect("plain figures"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitted::{Axis, EnergyFit, FitError, KernelEnergy, KernelFormat, Surface, Term};

    fn profile() -> FittedProfile {
        let axes = vec![Axis { feature: Feature::Rows, knots: vec![0.0, 8.005] }];
        let surface = Surface { terms: vec![Term { axes, values: vec![0.25, -0.125] }] };
        let kernel = FittedKernel {
            format: KernelFormat::Fp8,
            floor_us: 2.5,
            source: "a \"table\"".to_string(),
            rows: 7,
            left_out: String::new(),
            error_percent: FitError { median: 1.5, p95: 9.0, bias: -0.1, mean: 0.3 },
            surface,
        };
        let energy = KernelEnergy { busy: 0.25, flops: 0.5, memory: 0.25 };
        FittedProfile {
            device: "H100-SXM-80GB".to_string(),
            date: "2026-11-25".to_string(),
            gemm: vec![kernel],
            prefill_attention: Vec::new(),
            decode_attention: Vec::new(),
            experts: Vec::new(),
            elementwise: None,
            all_reduce: None,
            all_to_all: None,
            energy: Some(EnergyFit {
                gemm: energy,
                prefill_attention: energy,
                decode_attention: energy,
                experts: energy,
                source: "a table".to_string(),
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = profile().to_toml("made by hand\n\nfor a test");
        assert!(text.starts_with("# made by hand\n#\n# for a test\n"), "{text}");
        assert_eq!(FittedProfile::from_toml(&text, "x.toml").expect("a valid profile"), profile());
    }

    #[test]
    fn wrong_profiles_are_refused_by_file_and_field() {
        let message = |change: &dyn Fn(&mut FittedProfile)| {
            let mut wrong = profile();
            change(&mut wrong);
            FittedProfile::from_toml(&wrong.to_toml(""), "x.toml").expect_err("a wrong profile").to_string()
        };
        let floor = message(&|profile| profile.gemm[0].floor_us = 2.5e6);
        assert_eq!(floor, "x.toml: `gemm (fp8): floor_us`: 2500000 is out of range; expected 0.1 to 1000");
        let twice = message(&|profile| profile.gemm.push(profile.gemm[0].clone()));
        assert_eq!(twice, "x.toml: `gemm`: `fp8` occurs twice");
        let other = message(&|profile| profile.gemm[0].surface.terms[0].axes[0].feature = Feature::Context);
        assert!(other.starts_with("x.toml: `gemm (fp8): surface`: a term has a feature"), "{other}");
        let unknown = profile().to_toml("").replace("floor_us", "flor_us");
        let unknown = FittedProfile::from_toml(&unknown, "x.toml").expect_err("an unknown key").to_string();
        assert!(unknown.starts_with("x.toml: ") && unknown.contains("flor_us"), "{unknown}");
    }
}
