//! Which run a row belongs to.

/// Names one run: the leading columns of every file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunLabel {
    /// Name of the system.
    pub(crate) system: String,
    /// Seed.
    pub(crate) seed: u64,
    /// Swept keys and their values; all runs of one plan have the same keys in the same order.
    pub(crate) point: Vec<(String, String)>,
}

impl RunLabel {
    /// A run outside any sweep.
    pub(crate) fn new(system: impl Into<String>, seed: u64) -> Self {
        RunLabel { system: system.into(), seed, point: Vec::new() }
    }

    /// The swept keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.point.iter().map(|(key, _)| key)
    }

    /// Names of the leading columns: the swept keys, `system` and `seed`, each followed by a comma.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        for (key, _) in &self.point {
            push_field(&mut header, key);
            header.push(b',');
        }
        header.extend_from_slice(b"system,seed,");
        header
    }

    /// Values of the leading columns, each followed by a comma.
    pub(super) fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for (_, value) in &self.point {
            push_field(&mut fields, value);
            fields.push(b',');
        }
        push_field(&mut fields, &self.system);
        fields.push(b',');
        super::decimal::push_integer(&mut fields, self.seed);
        fields.push(b',');
        fields
    }
}

/// Appends one CSV field, quoted where RFC 4180 asks for it.
pub(super) fn push_field(out: &mut Vec<u8>, field: &str) {
    if !field.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_commas_and_quotes_survive_a_csv_reader() {
        let point = vec![("workload.rate".to_owned(), "4,5".to_owned())];
        let label = RunLabel { system: "the \"fast\", one\n".to_owned(), seed: 7, point };
        let file = [label.header(), b"x\n".to_vec(), label.fields(), b"1\n".to_vec()].concat();
        let mut reader = csv::Reader::from_reader(file.as_slice());
        assert_eq!(reader.headers().expect("a header"), vec!["workload.rate", "system", "seed", "x"]);
        let row = reader.records().next().expect("a row").expect("well formed");
        assert_eq!(row, vec!["4,5", "the \"fast\", one\n", "7", "1"]);
    }
}
