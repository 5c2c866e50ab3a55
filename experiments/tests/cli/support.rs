//! A folder to run the program in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the program said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An empty folder, and the program run inside it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

/// A small experiment that runs in a moment.
pub(crate) const SMALL: &str = r#"name = "small"
seeds = [1, 2]
model = "meta-llama/Llama-3.1-8B"
slo = { ttft = "1 s", tbt = "50 ms" }

[workload]
requests = 60
arrivals = { process = "poisson", rate = 20 }
input = { distribution = "lognormal", mean = 400, p90 = 800 }
output = { distribution = "uniform", min = 1, max = 40 }
prefix = { structure = "system-prompts", lengths = [128, 64] }

[[system]]
name = "chunked"
gpu = "H100-SXM-80GB"
replicas = 2
router = "power-of-two-choices"
max_model_len = 8192
scheduler = { policy = "chunked-prefill", max_num_batched_tokens = 512, max_num_seqs = 64 }

[[system]]
name = "first"
inherit = "chunked"
scheduler = { policy = "prefill-first", max_num_batched_tokens = 8192 }

[output]
steps = true
perfetto = true
"#;

impl Place {
    pub(crate) fn new() -> Self {
        Place { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    /// A folder with the small experiment, changed: each pair replaces the first text by the second.
    pub(crate) fn with_small(changes: &[(&str, &str)]) -> Self {
        let place = Self::new();
        let mut text = SMALL.to_owned();
        for (old, new) in changes {
            assert!(text.contains(old), "the small experiment has no `{old}`");
            text = text.replacen(old, new, 1);
        }
        place.write("x.toml", &text);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("the file is text")
    }

    /// Runs the program here.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_servesim"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .output()
            .expect("the program starts");
        let here = self.folder.path().to_string_lossy().into_owned();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&here, "HERE");
        Said {
            code: output.status.code().expect("the program exits by itself"),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Runs the program and expects it to succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "servesim {}:\n{}{}", arguments.join(" "), said.stdout, said.stderr);
        said
    }

    /// Runs the program, expects this exit code, and gives back what it printed to standard error.
    pub(crate) fn fail(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.code, code, "servesim {}:\n{}{}", arguments.join(" "), said.stdout, said.stderr);
        said.stderr
    }

    /// Names of all files below a folder, sorted.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        fn visit(folder: &Path, below: &str, names: &mut Vec<String>) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = format!("{below}{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() { visit(&entry.path(), &format!("{name}/"), names) } else { names.push(name) }
            }
        }
        let mut names = Vec::new();
        visit(&self.path(folder), "", &mut names);
        names.sort();
        names
    }
}

/// The public data beside the repository, or where `SERVESIM_SHARED_DATA` says.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("SERVESIM_SHARED_DATA").map_or(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}
