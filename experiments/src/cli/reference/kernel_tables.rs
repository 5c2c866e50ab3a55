//! The reference page of kernel tables.

use std::fmt::Write as _;

use profiles::DType;
use profiles::table::{
    Cache, Column, GemmRow, Header, Kernel, KernelTable, Launch, Rows, Scaling, TIMING_COLUMNS, Timing,
};

const HEAD: &str = "\
<!-- Written by `servesim reference`; a test compares. Edit profiles/src/table/ instead. -->

# Kernel tables

A kernel table holds what kernels took on a device, shape by shape. One file holds one kind of kernel; a folder of them
describes a device. `servesim profiles import` makes them of what others measured, `servesim calibrate` measures them,
and the key `kernel_tables` of a system predicts steps from them. Files may be compressed (`.csv.gz`).

A file starts with a header: lines that begin with `#` and are TOML behind it. Then follow the columns' names and the
rows, as CSV. Columns may come in any order; one that is missing or unknown is an error, and so is a number that its
column cannot hold: a time must be finite and above 0.

";

const HEADER_KEYS: &str = "
## Header

| key | | value |
|---|---|---|
| `format` | required | version of this format: 1 |
| `kernel` | required | the kind of kernel, one of those below |
| `device` | required | name of the device, as `servesim profiles list` shows it; a table of another device is refused |
| `cache` | required | `cold`: operands came from device memory, as weights do in a serving step; `warm`: they lay in caches as far as they fit; `unknown` |
| `launch` | required | `graph`: by CUDA graphs; `stream`: into a stream, without waiting; `eager`: one by one by a framework; `unknown` |
| `source` | required | who measured, with what, under which licence |
| `date` | required | day of the measurement or of its publication, `YYYY-MM-DD` |
| `driver` | | version of the GPU's driver |
| `libraries` | | table of the versions of libraries and engines whose kernels were timed |
| `clocks` | | table: `sm_max_mhz`, `memory_max_mhz`, `locked` |
| `network` | | what lies between the servers of rows with several, such as `100 Gbit/s Ethernet`; without it such rows price nothing |
| `power_limit_w` | | board power limit |
| `relative` | | `true`: times hold only relative to each other, because all have something in them beside the kernel; no step is priced from such a table |
| `notes` | | what a reader should know beside |
| `digest` | | `sha256:` and the digest of everything behind the header; if it is there, it is checked |

## Timing columns

Every table has them behind the columns of its shapes. All but the first may be left out, and a field may be empty.

";

/// The page, in Markdown.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    let _ = write!(page, "```text\n{}```\n{HEADER_KEYS}", example().write());
    columns(&mut page, &TIMING_COLUMNS);
    page.push_str(
        "\nA shape may occur more than once: the median of its times is used, and a warning says where they differ by more than \
         10 %. Where several tables of a kind are given, the first that has a shape is believed and the others complete it.\n",
    );
    for kernel in Kernel::ALL {
        let _ = write!(page, "\n## `{kernel}`\n\n{}\n\n", kernel.about());
        columns(&mut page, Rows::none(kernel).columns());
    }
    page
}

fn columns(page: &mut String, columns: &[Column]) {
    page.push_str("| column | holds |\n|---|---|\n");
    for column in columns {
        let _ = writeln!(page, "| `{}` | {} |", column.name, column.about);
    }
}

/// A table whose figures are made up.
fn example() -> KernelTable {
    let row = |m, time_us| GemmRow {
        m,
        n: 6144,
        k: 4096,
        weights: DType::Bf16,
        activations: DType::Bf16,
        scaling: Scaling::None,
        timing: Timing::of_us(time_us),
    };
    let source = "made up for this page";
    let header = Header::new(Kernel::Gemm, "H200-SXM-141GB", Cache::Cold, Launch::Graph, source, "2026-11-25");
    KernelTable { header, rows: Rows::Gemm(vec![row(1, 13.5), row(16, 13.75)]) }
}
