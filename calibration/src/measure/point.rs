//! A shape to time: a row of a kernel table whose time is not known yet.

use profiles::table::{
    DecodeAttentionRow, ElementwiseRow, ExpertsRow, GemmRow, Kernel, MixedAttentionRow, OverheadRow,
    PrefillAttentionRow, Row as _, Rows, StateSpaceRow, Timing,
};

macro_rules! points {
    ($($kind:ident($row:ident),)+) => {
        /// A shape to time. The row's own timing is ignored.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Point {
            $(#[doc = concat!("Of a table of `", stringify!($kind), "`.")] $kind($row),)+
        }

        impl Point {
            /// The kind of kernel.
            pub fn kernel(&self) -> Kernel {
                match self {
                    $(Point::$kind(_) => Kernel::$kind,)+
                }
            }

            /// The fields of its shape, as a table writes them: what tells it from other points of its kind.
            pub fn shape(&self) -> Vec<String> {
                match self {
                    $(Point::$kind(row) => row.shape(),)+
                }
            }

            /// Adds it to a table's rows, with what was recorded.
            ///
            /// # Panics
            ///
            /// If `rows` are of another kind.
            pub fn add_to(&self, rows: &mut Rows, timing: Timing) {
                match (self, rows) {
                    $((Point::$kind(row), Rows::$kind(rows)) => rows.push($row { timing, ..row.clone() }),)+
                    (point, rows) => panic!("a point of {} does not go into {}", point.kernel(), rows.kernel()),
                }
            }

            /// The shapes and times of a table, for kinds of kernels that points can be of.
            pub fn of_rows(rows: &Rows) -> Vec<(Point, Timing)> {
                match rows {
                    $(Rows::$kind(rows) => rows.iter().map(|row| (Point::$kind(row.clone()), row.timing)).collect(),)+
                    _ => Vec::new(),
                }
            }
        }
    };
}

points! {
    Gemm(GemmRow),
    PrefillAttention(PrefillAttentionRow),
    DecodeAttention(DecodeAttentionRow),
    MixedAttention(MixedAttentionRow),
    Experts(ExpertsRow),
    StateSpace(StateSpaceRow),
    Elementwise(ElementwiseRow),
    Overhead(OverheadRow),
}

impl Point {
    /// What tells it from all other points: its shape without what only measuring shows.
    pub fn key(&self) -> Vec<String> {
        match self {
            // How many experts random rows choose is a result, unless the routing is by that number.
            Point::Experts(row) if row.routing != "touched" => {
                ExpertsRow { touched_experts: None, ..row.clone() }.shape()
            }
            _ => self.shape(),
        }
    }
}
