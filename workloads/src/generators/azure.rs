//! Traffic of two services of Azure, after the traces of 16 November 2023.
//!
//! Source: github.com/Azure/AzurePublicDataset, `AzureLLMInferenceTrace_conv.csv` and `_code.csv`, published with
//! P. Patel et al., "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024. Quantiles, rates,
//! coefficients of variation and rank correlations were computed from all rows in November 2026.

use super::{Generator, quantile_table};
use crate::arrivals::Arrivals;
use crate::lengths::RequestLengths;
use crate::spec::WorkloadSpec;

const SOURCE: &str = "Azure LLM inference traces 2023 (AzurePublicDataset; Splitwise, ISCA 2024)";

/// Conversations: 19,366 requests in 3502 s. Prompts have mean 1155, p50 1020, p90 2735; answers 211, 129, 424.
pub(super) const CONVERSATION: Generator = Generator {
    name: "azure-conv-2023",
    summary: "conversation service of Azure, 5.53 requests/s",
    source: SOURCE,
    requests: 19_366,
    build: conversation,
};

/// Code completion: 8,819 requests in 3436 s. Prompts have mean 2048, p50 1469, p90 5188; answers 27.9, 13, 55.
pub(super) const CODE: Generator = Generator {
    name: "azure-code-2023",
    summary: "code completion service of Azure, 2.57 requests/s in long bursts",
    source: SOURCE,
    requests: 8_819,
    build: code,
};

/// Gaps have CV 1.09 (Gamma). Left out: the rate of the original drifts over minutes, up to 8.45 requests/s in one.
///
/// Spearman's rank correlation of input and output is 0.073, which is `rho` = 2 sin(π 0.073 / 6).
fn conversation(requests: u64) -> WorkloadSpec {
    let input = quantile_table([
        2, 29, 181, 207, 372, 387, 396, 403, 414, 703, 984, 1020, 1045, 1071, 1097, 1130, 1189, 1315, 1876, 2734, 4083,
        4090, 4098, 4142, 4831, 6179, 14050,
    ]);
    let output = quantile_table([
        7, 16, 41, 54, 67, 77, 85, 91, 96, 103, 113, 129, 151, 177, 217, 384, 395, 400, 411, 424, 451, 509, 540, 601,
        643, 954, 1000,
    ]);
    let lengths = RequestLengths::Correlated { input, output, rho: 0.076 };
    WorkloadSpec::new(Arrivals::Gamma { rate: 5.53, cv: 1.09 }, lengths, requests)
}

/// Gaps have CV 13.15, which no renewal process with smooth gaps explains: the service is silent for minutes. It is
/// modelled as an interrupted Poisson process, whose gaps have `cv² = 1 + 2 rate · off² / (on + off)`. Silences above
/// 5 s have mean 43 s, those above 10 s mean 53 s, nearly exponential; `off` = 48 s, the mean rate 2.566/s and the CV
/// leave `on` = 20.8 s at 8.49/s. Left out: requests inside a burst are themselves clustered (CV about 2).
///
/// Spearman's rank correlation of input and output is -0.021.
fn code(requests: u64) -> WorkloadSpec {
    let input = quantile_table([
        3, 17, 75, 147, 232, 386, 578, 770, 939, 1075, 1261, 1469, 1690, 1909, 2164, 2433, 2744, 3192, 3920, 5188,
        7303, 7435, 7436, 7436, 7436, 7437, 7437,
    ]);
    let output = quantile_table([
        6, 6, 6, 7, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 29, 39, 55, 90, 128, 171, 251, 359, 825, 1899,
    ]);
    let lengths = RequestLengths::Correlated { input, output, rho: -0.022 };
    let arrivals = Arrivals::OnOff { on_rate: 8.493, off_rate: 0.0, mean_on_s: 20.78, mean_off_s: 48.0 };
    WorkloadSpec::new(arrivals, lengths, requests)
}
