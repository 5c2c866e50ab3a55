//! The rows of each kind of table.

mod attention;
mod linear;
mod names;
mod other;

pub use attention::{DecodeAttentionRow, MixedAttentionRow, PrefillAttentionRow};
pub use linear::{ExpertsRow, GemmRow};
pub use names::{CollectiveOperation, PassPhase, Scaling, StateSpacePhase};
pub use other::{CollectiveRow, ElementwiseRow, OverheadRow, PassRow, StateSpaceRow};

use std::cmp::Ordering;

use super::error::FieldError;
use super::fields::{Fields, write_optional};
use super::kernel::Kernel;
use super::timing::Timing;
use crate::parallel::DType;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds, with its unit.
    pub about: &'static str,
}

/// A row of a table: a shape and its time.
pub trait Row: Sized {
    /// The kind of kernel.
    const KERNEL: Kernel;

    /// The columns of the shape.
    const COLUMNS: &'static [Column];

    /// The recorded time.
    fn timing(&self) -> &Timing;

    /// The recorded time, to be changed.
    fn timing_mut(&mut self) -> &mut Timing;

    /// The fields of the shape in the order of [`COLUMNS`](Row::COLUMNS).
    fn shape(&self) -> Vec<String>;

    /// Compares shapes, column by column; equal for two timings of the same.
    fn cmp_shape(&self, other: &Self) -> Ordering;

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// The first column that is wrong.
    fn read(fields: &Fields<'_>) -> Result<Self, FieldError>;
}

/// Defines a row type and how it is read and written: `name: type = reader(arguments), "what it holds"`.
macro_rules! row {
    (
        $(#[$about:meta])* $row:ident is $kernel:ident,
        $($field:ident: $type:ty = $read:expr, $column:literal;)+
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $row {
            $(#[doc = $column] pub $field: $type,)+
            /// What was recorded.
            pub timing: $crate::table::Timing,
        }

        impl $crate::table::Row for $row {
            const KERNEL: $crate::table::Kernel = $crate::table::Kernel::$kernel;

            const COLUMNS: &'static [$crate::table::Column] =
                &[$($crate::table::Column { name: stringify!($field), about: $column },)+];

            fn timing(&self) -> &$crate::table::Timing {
                &self.timing
            }

            fn timing_mut(&mut self) -> &mut $crate::table::Timing {
                &mut self.timing
            }

            fn shape(&self) -> Vec<String> {
                vec![$($crate::table::rows::Text::text(&self.$field),)+]
            }

            fn cmp_shape(&self, other: &Self) -> std::cmp::Ordering {
                std::cmp::Ordering::Equal$(.then_with(|| self.$field.cmp(&other.$field)))+
            }

            fn read(
                fields: &$crate::table::fields::Fields<'_>,
            ) -> Result<Self, $crate::table::error::FieldError> {
                Ok(Self {
                    $($field: $read(fields, stringify!($field))?,)+
                    timing: $crate::table::Timing::read(fields)?,
                })
            }
        }
    };
}
use row;

/// How a field is written.
trait Text {
    fn text(&self) -> String;
}

macro_rules! text_is_display {
    ($($type:ty),+) => {
        $(impl Text for $type {
            fn text(&self) -> String {
                self.to_string()
            }
        })+
    };
}
text_is_display!(u32, u64, String, DType, Scaling, StateSpacePhase, CollectiveOperation, PassPhase);

impl Text for Option<u32> {
    fn text(&self) -> String {
        write_optional(*self)
    }
}

/// Reads a whole number of 1 or more.
fn one_or_more<T: std::str::FromStr + PartialOrd + From<u8>>(
    fields: &Fields<'_>,
    column: &'static str,
) -> Result<T, FieldError> {
    fields.count(column, 1)
}

/// Reads a whole number.
fn zero_or_more<T: std::str::FromStr + PartialOrd + From<u8>>(
    fields: &Fields<'_>,
    column: &'static str,
) -> Result<T, FieldError> {
    fields.count(column, 0)
}

/// Reads a name.
fn name<T: std::str::FromStr<Err: std::fmt::Display>>(
    fields: &Fields<'_>,
    column: &'static str,
) -> Result<T, FieldError> {
    fields.name(column)
}

/// Reads a text.
fn text(fields: &Fields<'_>, column: &'static str) -> Result<String, FieldError> {
    fields.text(column).map(str::to_string)
}

/// Reads a whole number of 1 or more, or nothing.
fn optional_count(fields: &Fields<'_>, column: &'static str) -> Result<Option<u32>, FieldError> {
    fields.optional(column, |fields, column| fields.count(column, 1))
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// Matrix products.
    Gemm(Vec<GemmRow>),
    /// Attention of prompt pieces.
    PrefillAttention(Vec<PrefillAttentionRow>),
    /// Attention of generating requests.
    DecodeAttention(Vec<DecodeAttentionRow>),
    /// Attention of both.
    MixedAttention(Vec<MixedAttentionRow>),
    /// Routed experts.
    Experts(Vec<ExpertsRow>),
    /// State-space mixers.
    StateSpace(Vec<StateSpaceRow>),
    /// Small kernels.
    Elementwise(Vec<ElementwiseRow>),
    /// Operations over several GPUs.
    Collective(Vec<CollectiveRow>),
    /// What the host adds.
    Overhead(Vec<OverheadRow>),
    /// Whole forward passes.
    Pass(Vec<PassRow>),
}

/// Evaluates `$body` with `$rows` bound to the vector of rows, whatever its type.
macro_rules! each_kind {
    ($value:expr, $rows:ident => $body:expr) => {
        match $value {
            $crate::table::Rows::Gemm($rows) => $body,
            $crate::table::Rows::PrefillAttention($rows) => $body,
            $crate::table::Rows::DecodeAttention($rows) => $body,
            $crate::table::Rows::MixedAttention($rows) => $body,
            $crate::table::Rows::Experts($rows) => $body,
            $crate::table::Rows::StateSpace($rows) => $body,
            $crate::table::Rows::Elementwise($rows) => $body,
            $crate::table::Rows::Collective($rows) => $body,
            $crate::table::Rows::Overhead($rows) => $body,
            $crate::table::Rows::Pass($rows) => $body,
        }
    };
}
pub(super) use each_kind;

impl Rows {
    /// No rows of a kind.
    pub fn none(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Gemm => Self::Gemm(Vec::new()),
            Kernel::PrefillAttention => Self::PrefillAttention(Vec::new()),
            Kernel::DecodeAttention => Self::DecodeAttention(Vec::new()),
            Kernel::MixedAttention => Self::MixedAttention(Vec::new()),
            Kernel::Experts => Self::Experts(Vec::new()),
            Kernel::StateSpace => Self::StateSpace(Vec::new()),
            Kernel::Elementwise => Self::Elementwise(Vec::new()),
            Kernel::Collective => Self::Collective(Vec::new()),
            Kernel::Overhead => Self::Overhead(Vec::new()),
            Kernel::Pass => Self::Pass(Vec::new()),
        }
    }

    /// The kind of kernel.
    pub fn kernel(&self) -> Kernel {
        fn kind<R: Row>(_: &[R]) -> Kernel {
            R::KERNEL
        }
        each_kind!(self, rows => kind(rows))
    }

    /// The columns of the shape.
    pub fn columns(&self) -> &'static [Column] {
        fn columns<R: Row>(_: &[R]) -> &'static [Column] {
            R::COLUMNS
        }
        each_kind!(self, rows => columns(rows))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        each_kind!(self, rows => rows.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
