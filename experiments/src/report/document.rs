//! The file itself: one HTML page that needs nothing else.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::packed::base64;
use super::palette;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 15] = [
    include_str!("page/data.js"),
    include_str!("page/format.js"),
    include_str!("page/dom.js"),
    include_str!("page/table.js"),
    include_str!("page/chart.js"),
    include_str!("page/lanes.js"),
    include_str!("page/steer.js"),
    include_str!("page/paint.js"),
    include_str!("page/timeline.js"),
    include_str!("page/taking_part.js"),
    include_str!("page/requests.js"),
    include_str!("page/compare.js"),
    include_str!("page/scatter.js"),
    include_str!("page/plan.js"),
    include_str!("page/page.js"),
];

/// The page that shows `data`. Its policy lets nothing run but this script, and nothing be asked of any network.
pub(super) fn page(title: &str, data: &impl Serialize) -> String {
    let style = palette::css() + STYLE;
    let script = format!("(() => {{\n\"use strict\";\n{}}})();", SCRIPTS.join("\n"));
    let data = serde_json::to_string(data).expect("the page's data is plain");
    let parts = [
        ("{{style-hash}}", policy_hash(&style)),
        ("{{script-hash}}", policy_hash(&script)),
        ("{{version}}", env!("CARGO_PKG_VERSION").to_owned()),
        ("{{title}}", escaped(title)),
        ("{{style}}", style),
        ("{{data}}", data.replace('<', "\\u003c")),
        ("{{script}}", script),
    ];
    fill(TEMPLATE, &parts)
}

/// Puts parts into their places, each of which the template has once and in this order; what is put in is not looked at
/// again.
fn fill(template: &str, parts: &[(&str, String)]) -> String {
    let mut page = String::with_capacity(template.len() + parts.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut rest = template;
    while let Some(at) = rest.find("{{") {
        page.push_str(&rest[..at]);
        rest = &rest[at..];
        let (name, text) = parts.iter().find(|(name, _)| rest.starts_with(name)).expect("every place has its part");
        page.push_str(text);
        rest = &rest[name.len()..];
    }
    page + rest
}

/// A source of a content security policy that admits exactly this text (W3C CSP Level 3, section 2.3.1).
fn policy_hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_experiment_cannot_become_markup() {
        let nasty = "</script><script>alert(1)</script>{{script}}&";
        let page = page(nasty, &serde_json::json!({ "title": nasty }));
        assert_eq!(page.matches("</script>").count(), 2, "the data block and the script, and no others");
        assert!(page.contains("<title>&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{script}}&amp;</title>"));
    }

    #[test]
    fn the_page_names_no_other_place() {
        let page = page("t", &serde_json::json!({}));
        let namespace = page.matches("http://www.w3.org/2000/svg").count();
        assert_eq!(page.matches("http://").count() + page.matches("https://").count(), namespace);
        for word in ["@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
