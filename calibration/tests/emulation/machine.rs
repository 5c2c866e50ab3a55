//! A machine whose kernels run in a program made of the CUDA sources by a C++ compiler.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{fs, thread};

use calibration::kernels::{Arg, KERNELS, Launch, PRELUDE, Source, View};
use calibration::machine::{Machine, MachineError};

const HEADER: &str = include_str!("emulation.hpp");
const SCHEDULER: &str = include_str!("emulation.cpp");

fn compiler() -> Option<String> {
    let named = std::env::var("CXX").ok();
    let candidates = named.into_iter().chain(["c++", "g++", "clang++"].map(str::to_owned));
    let works = |name: &String| {
        let said = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    };
    candidates.into_iter().find(works)
}

/// A source as C++, with its kernels made callable by name.
fn translation(source: Source) -> String {
    let mut text = format!("#include \"emulation.hpp\"\n{PRELUDE}\n#line 1 \"{}\"\n{}\n", source.file(), source.text());
    for kernel in KERNELS.iter().filter(|kernel| kernel.source == source) {
        let name = kernel.name;
        writeln!(text, "static emulation::Register register_{name}(\"{name}\", {name});").expect("writing to memory");
    }
    text
}

/// Compiles the program unless it is there already; nothing without a compiler.
pub(crate) fn build() -> Option<PathBuf> {
    let compiler = compiler()?;
    let mut files: Vec<(String, String)> =
        Source::ALL.iter().map(|source| (source.file().replace(".cu", ".cpp"), translation(*source))).collect();
    files.push(("emulation.cpp".to_owned(), SCHEDULER.to_owned()));
    let mut hasher = DefaultHasher::new();
    (&compiler, HEADER, &files).hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("emulation-{:016x}", hasher.finish()));
    let program = folder.join("kernels");
    if program.exists() {
        return Some(program);
    }
    fs::create_dir_all(&folder).expect("the folder can be made");
    fs::write(folder.join("emulation.hpp"), HEADER).expect("the header can be written");
    let run = |arguments: &[&str]| {
        let said = Command::new(&compiler).args(arguments).current_dir(&folder).output().expect("the compiler starts");
        assert!(said.status.success(), "{compiler} {arguments:?}:\n{}", String::from_utf8_lossy(&said.stderr));
    };
    thread::scope(|scope| {
        for (name, text) in &files {
            fs::write(folder.join(name), text).expect("the source can be written");
            let run = &run;
            scope.spawn(move || run(&["-std=c++17", "-O2", "-w", "-c", name, "-o", &format!("{name}.o")]));
        }
    });
    let objects: Vec<String> = files.iter().map(|(name, _)| format!("{name}.o")).collect();
    let mut link = vec!["-o", "unfinished"];
    link.extend(objects.iter().map(String::as_str));
    run(&link);
    fs::rename(folder.join("unfinished"), &program).expect("the program can be renamed");
    Some(program)
}

/// Bits of an address that count bytes within a buffer; those above number the buffer.
const OFFSET_BITS: u32 = 40;

/// Memory of the emulated machine.
pub(crate) struct Emulator<'a> {
    program: &'a Path,
    buffers: Vec<Vec<u8>>,
}

impl<'a> Emulator<'a> {
    pub(crate) fn new(program: &'a Path) -> Self {
        Emulator { program, buffers: Vec::new() }
    }
}

fn split(address: u64) -> (usize, usize) {
    ((address >> OFFSET_BITS) as usize, (address & ((1 << OFFSET_BITS) - 1)) as usize)
}

fn word(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

impl Machine for Emulator<'_> {
    fn upload(&mut self, bytes: &[u8]) -> Result<View, MachineError> {
        let address = (self.buffers.len() as u64) << OFFSET_BITS;
        self.buffers.push(bytes.to_vec());
        Ok(View::new(address, bytes.len() as u64, Arc::new(())))
    }

    fn download(&mut self, view: &View) -> Result<Vec<u8>, MachineError> {
        let (buffer, start) = split(view.address());
        Ok(self.buffers[buffer][start..][..view.bytes() as usize].to_vec())
    }

    fn run(&mut self, launches: &[Launch]) -> Result<(), MachineError> {
        let memory = |arg: &Arg| match arg {
            Arg::Memory(view) => Some(split(view.address()).0),
            _ => None,
        };
        let used: BTreeSet<usize> = launches.iter().flat_map(|launch| launch.args.iter().filter_map(memory)).collect();
        let used: Vec<usize> = used.into_iter().collect();
        let mut input = Vec::new();
        word(&mut input, used.len() as u64);
        for &buffer in &used {
            word(&mut input, self.buffers[buffer].len() as u64);
            input.extend_from_slice(&self.buffers[buffer]);
        }
        word(&mut input, launches.len() as u64);
        for launch in launches {
            word(&mut input, launch.kernel.name.len() as u64);
            input.extend_from_slice(launch.kernel.name.as_bytes());
            for number in [launch.grid[0], launch.grid[1], launch.threads, launch.shared_bytes] {
                word(&mut input, u64::from(number));
            }
            word(&mut input, launch.args.len() as u64);
            for arg in &launch.args {
                let (kind, bits) = match arg {
                    Arg::Memory(view) => {
                        let (buffer, start) = split(view.address());
                        let index = used.iter().position(|&used| used == buffer).expect("it was collected above");
                        (0, (index as u64) << OFFSET_BITS | start as u64)
                    }
                    Arg::I32(value) => (1, u64::from(value.cast_unsigned())),
                    Arg::I64(value) => (1, value.cast_unsigned()),
                    Arg::F32(value) => (1, u64::from(value.to_bits())),
                };
                word(&mut input, kind);
                word(&mut input, bits);
            }
        }
        let failed = |problem: String| MachineError(problem);
        let mut child = Command::new(self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        // A program that stops early says why itself.
        let _ = child.stdin.take().expect("it was piped").write_all(&input);
        let said = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
        if !said.status.success() {
            return Err(failed(format!("{}: {}", said.status, String::from_utf8_lossy(&said.stderr).trim())));
        }
        let mut rest = &said.stdout[..];
        for &buffer in &used {
            let (own, after) = rest.split_at(self.buffers[buffer].len());
            self.buffers[buffer] = own.to_vec();
            rest = after;
        }
        Ok(())
    }

    fn multiprocessors(&self) -> u32 {
        2
    }

    fn l2_bytes(&self) -> u64 {
        1 << 10
    }

    fn free_bytes(&self) -> Result<u64, MachineError> {
        Ok(64 << 20)
    }
}
