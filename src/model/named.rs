//! Enumerations whose values have names: each value and its name stand in one place.

/// Makes an enumeration with `ALL`, `name`, and `named`, which finds a value by its name.
macro_rules! named {
    (
        $(#[$about:meta])*
        $visibility:vis enum $Enumeration:ident {
            $($(#[$doc:meta])* $Value:ident = $name:literal,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $Enumeration {
            $($(#[$doc])* $Value,)*
        }

        impl $Enumeration {
            /// All of them.
            $visibility const ALL: [Self; [$($name),*].len()] = [$(Self::$Value),*];

            /// As it is written.
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$Value => $name,)*
                }
            }

            /// The one that is written so.
            $visibility fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$Value),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use named;
