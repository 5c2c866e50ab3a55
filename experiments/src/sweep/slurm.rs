//! A sweep as an array job of Slurm: a task for each part, and a job that merges them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::launch::Launch;
use super::manifest::Manifest;
use super::show_paths;
use crate::failure::Failure;
use crate::output::{OutputError, write_whole};
use crate::request::Request;
use crate::terminal::{self, Terminal};

/// Folder of the job scripts and of what the jobs print, in the folder of the sweep.
const FOLDER: &str = "slurm";
const PARTS: &str = "parts.sbatch";
const MERGE: &str = "merge.sbatch";

/// Writes both job scripts, and submits them unless told not to.
pub(super) fn submit(
    directory: &Path,
    request: &Request,
    manifest: &Manifest,
    launch: &Launch,
    terminal: Terminal,
) -> Result<(), Failure> {
    let written = |error| Failure::while_writing(&error);
    let folder = absolute(&directory.join(FOLDER));
    std::fs::create_dir_all(&folder)
        .map_err(|source| written(OutputError::Directory { directory: folder.clone(), source }))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::Request(format!("cannot tell where the program itself lies: {error}")))?;
    let here = std::env::current_dir()
        .map_err(|error| Failure::Request(format!("cannot tell the current directory: {error}")))?;
    let script = Script { directory: &absolute(directory), folder: &folder, program: &program, here: &here, launch };
    let parts = write_whole(&folder, PARTS, &script.parts(request, &manifest.name)).map_err(written)?;
    let merge = write_whole(&folder, MERGE, &script.merge(&manifest.name)).map_err(written)?;
    if terminal.talks() {
        show_paths(&[parts.clone(), merge.clone()]);
    }
    if launch.dry_run {
        return Ok(());
    }
    let job = sbatch(&[], &parts)?;
    // After any end of the parts: the merge itself finds out whether runs are missing, and says which. With `afterok`, one run
    // that failed would withhold the tables of all others.
    let merging = sbatch(&[format!("--dependency=afterany:{job}")], &merge)?;
    if terminal.talks() {
        terminal::print_line(&format!("Submitted job {job} ({} tasks), and {merging}, which merges", launch.shards));
    }
    Ok(())
}

/// Submits a script. Returns the number of the job.
fn sbatch(options: &[String], script: &Path) -> Result<String, Failure> {
    let there = format!("the job scripts are in {}", script.parent().unwrap_or(script).display());
    let output = Command::new("sbatch").arg("--parsable").args(options).arg(script).output();
    let output = output.map_err(|error| Failure::Run(format!("cannot start sbatch: {error}; {there}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // `JOB` or `JOB;CLUSTER`.
    let job = said.trim().split(';').next().unwrap_or_default().to_owned();
    if !output.status.success() || job.is_empty() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::Run(format!("sbatch refused the job: {}; {there}", why.trim())));
    }
    Ok(job)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What both scripts are made of.
struct Script<'a> {
    directory: &'a Path,
    folder: &'a Path,
    program: &'a Path,
    here: &'a Path,
    launch: &'a Launch,
}

impl Script<'_> {
    /// The array job. A task that is requeued goes on where it was.
    fn parts(&self, request: &Request, name: &str) -> String {
        let shards = self.launch.shards;
        let processors = request.jobs.unwrap_or(1);
        let mut text = self.head(name, "%A_%a");
        let _ = writeln!(text, "#SBATCH --array=1-{shards}\n#SBATCH --cpus-per-task={processors}\n#SBATCH --requeue");
        let file = absolute(&request.file);
        let _ = write!(
            text,
            "{}exec {} sweep {} -o {} --resume \\\n    --shard \"$SLURM_ARRAY_TASK_ID/{shards}\" --jobs \"${{SLURM_CPUS_PER_TASK:-{processors}}}\"",
            self.body(),
            quoted_path(self.program),
            quoted_path(&file),
            quoted_path(self.directory)
        );
        for setting in &request.settings {
            let _ = write!(text, " \\\n    --set {}", quoted(setting));
        }
        text.push('\n');
        text
    }

    /// The job after it.
    fn merge(&self, name: &str) -> String {
        let head = self.head(name, "%j_merge");
        format!("{head}{}exec {} merge {}\n", self.body(), quoted_path(self.program), quoted_path(self.directory))
    }

    fn head(&self, name: &str, log: &str) -> String {
        let log = format!("{}/{log}.log", self.folder.display().to_string().replace('%', "%%"));
        // A script has its options in comments, which end with the line.
        let job = format!("servesim: {name}").replace(char::is_control, " ");
        let mut text = format!("#!/bin/bash\n#SBATCH --job-name={}\n#SBATCH --output={}\n", quoted(&job), quoted(&log));
        for option in &self.launch.options {
            let _ = writeln!(text, "#SBATCH {option}");
        }
        text
    }

    fn body(&self) -> String {
        format!("set -euo pipefail\ncd {}\n", quoted_path(self.here))
    }
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// As a word of a shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./=:,%+@".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_of_a_shell_as_they_went_in() {
        for text in ["plain-1.toml", "", "two words", "it's $HOME \"and\" `more`", "a\nb", "system.x.gpu=L40S"] {
            let output = Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(text))).output();
            assert_eq!(String::from_utf8_lossy(&output.expect("a shell").stdout), text);
        }
    }

    #[test]
    fn the_array_job_runs_a_part_per_task_and_goes_on_when_it_is_requeued() {
        let launch = Launch { shards: 4, options: vec!["--time=10".to_owned()], dry_run: true };
        let path = Path::new;
        let script = Script {
            directory: path("/out/x y"),
            folder: path("/out/x y/slurm"),
            program: path("/bin/servesim"),
            here: path("/home/me"),
            launch: &launch,
        };
        let request = Request {
            file: "/home/me/x.toml".into(),
            settings: vec!["workload.requests=7".to_owned()],
            directory: None,
            force: false,
            jobs: Some(8),
            figures: None,
            json: false,
        };
        assert_eq!(
            script.parts(&request, "what is\nbest?"),
            "#!/bin/bash\n#SBATCH --job-name='servesim: what is best?'\n#SBATCH --output='/out/x y/slurm/%A_%a.log'\n\
             #SBATCH --time=10\n#SBATCH --array=1-4\n#SBATCH --cpus-per-task=8\n#SBATCH --requeue\nset -euo pipefail\n\
             cd /home/me\nexec /bin/servesim sweep /home/me/x.toml -o '/out/x y' --resume \\\n    \
             --shard \"$SLURM_ARRAY_TASK_ID/4\" --jobs \"${SLURM_CPUS_PER_TASK:-8}\" \\\n    \
             --set workload.requests=7\n"
        );
        assert_eq!(
            script.merge("x"),
            "#!/bin/bash\n#SBATCH --job-name='servesim: x'\n#SBATCH --output='/out/x y/slurm/%j_merge.log'\n\
             #SBATCH --time=10\nset -euo pipefail\ncd /home/me\nexec /bin/servesim merge '/out/x y'\n"
        );
    }
}
