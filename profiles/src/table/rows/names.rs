//! Names that occur in rows.

/// Defines an enum whose variants have names in files.
macro_rules! names {
    ($(#[$about:meta])* $type:ident, $what:literal: $($(#[$variant_about:meta])* $variant:ident = $name:literal,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type {
            $($(#[$variant_about])* $variant,)+
        }

        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in files.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                let known = || Self::ALL.iter().map(|value| value.name()).collect::<Vec<_>>().join(", ");
                Self::ALL
                    .iter()
                    .copied()
                    .find(|value| value.name() == name)
                    .ok_or_else(|| format!("`{name}` is no {}; use one of {}", $what, known()))
            }
        }
    };
}

names! {
    /// How narrow operands of a product are scaled.
    Scaling, "kind of scaling":
    /// Not at all, or by groups within the weights (4-bit formats).
    None = "none",
    /// By one scale per tensor or channel.
    Tensor = "tensor",
    /// By one scale per block of 128 × 128 weights and 1 × 128 activations.
    Block = "block",
}

names! {
    /// Which kernel of a state-space mixer.
    StateSpacePhase, "phase":
    /// The scan over the tokens of prompts.
    Scan = "scan",
    /// The update of states by one token per sequence.
    Update = "update",
}

names! {
    /// An operation over several GPUs.
    CollectiveOperation, "collective operation":
    /// Every rank gets the sum.
    AllReduce = "all_reduce",
    /// Every rank gets all parts.
    AllGather = "all_gather",
    /// Every rank gets its part of the sum.
    ReduceScatter = "reduce_scatter",
    /// Every rank sends a part to every other.
    AllToAll = "all_to_all",
    /// One rank sends to another.
    PointToPoint = "point_to_point",
}

names! {
    /// Which kind of forward pass.
    PassPhase, "phase":
    /// Prompts.
    Prompt = "prompt",
    /// One token for each request.
    Token = "token",
}
