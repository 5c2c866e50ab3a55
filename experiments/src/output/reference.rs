//! The reference page of measures.

use sim::{Better, Summary};

/// A Markdown page that explains every figure, made from the one list that also names the columns.
pub(crate) fn metric_reference() -> String {
    let mut blocks = vec![String::from(
        "# Measures\n\nThe columns of `summary.csv`, the keys of `--json`, and the `measure` of `comparison.csv`. Shares \
         are between 0 and 1. What does not exist is left empty: attainment without objectives, cost without a \
         price.",
    )];
    let mut section = None;
    for column in Summary::columns() {
        if section != Some(column.section) {
            section = Some(column.section);
            blocks.push(format!(
                "\n## {}\n\n| name | unit | better | meaning |\n|---|---|---|---|",
                column.section.title()
            ));
        }
        let better = match column.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "",
        };
        let doc = column.doc.replace('|', "\\|");
        blocks.push(format!("| `{}` | {} | {better} | {doc} |", column.name, column.unit));
    }
    blocks.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_row_under_one_heading_per_section() {
        let page = metric_reference();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), Summary::columns().len());
        for row in rows {
            assert_eq!(row.matches(" | ").count(), 3, "{row}");
        }
        assert_eq!(page.matches("\n## Latency\n").count(), 1);
    }
}
