//! The reference page of cache studies, written from the definitions of keys and measures.

use std::fmt::Write as _;

use super::CacheMeasure;
use crate::file::keys::caches::ROOT;
use crate::file::reference;

const HEAD: &str = "\
<!-- Written by `servesim reference cache-study`; a test compares. Edit experiments/src/file/keys/caches.rs and
experiments/src/caches/measures.rs instead. -->

# The cache study

A cache study is TOML. `servesim cache` looks up and stores the same requests in every cache, one after the other, in order
of arrival and as if each was answered at once: nothing is served, nothing queues and nothing is pinned. The order of
later turns of a session follows from think times alone. `[workload]` is that of the
[experiment file](experiment-file.md); quantities and `--set` are as there.

What is kept, and what goes first, is told per policy in `sim/src/prefix_cache/`. A prompt that is cached whole counts as
reused whole, where an engine would compute its last token again.
";

/// The page, in Markdown.
pub(crate) fn reference() -> String {
    let mut page = reference::page_of(HEAD, &ROOT);
    page.push_str("\n## Measures\n\nColumns of `caches.csv`.\n\n| column | unit | |\n|---|---|---|\n");
    for measure in CacheMeasure::all() {
        let _ = writeln!(page, "| `{}` | {} | {} |", measure.name, measure.unit, measure.doc);
    }
    page
}
