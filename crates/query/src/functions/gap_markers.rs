//! The functions that ask for gaps to be filled: `date_bin_gapfill`, `date_bin_wallclock_gapfill`, `locf`, `interpolate`.
//!
//! They compute nothing themselves: `gapfill` takes them out of the plan before it is run (spec/query-sql.md §7).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::date_bin_wallclock::{coerce_bins, coerce_wall_clock, type_of_bins};

/// Which of the functions one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum GapMarker {
    DateBin,
    DateBinWallclock,
    Locf,
    Interpolate,
}

impl GapMarker {
    pub(crate) const ALL: [Self; 4] = [
        Self::DateBin,
        Self::DateBinWallclock,
        Self::Locf,
        Self::Interpolate,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DateBin => "date_bin_gapfill",
            Self::DateBinWallclock => "date_bin_wallclock_gapfill",
            Self::Locf => "locf",
            Self::Interpolate => "interpolate",
        }
    }

    /// Whether it makes bins, rather than filling values.
    pub(crate) fn is_bin(self) -> bool {
        matches!(self, Self::DateBin | Self::DateBinWallclock)
    }
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct GapFunction {
    pub(crate) marker: GapMarker,
    signature: Signature,
}

impl GapFunction {
    pub(super) fn new(marker: GapMarker) -> Self {
        Self {
            marker,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for GapFunction {
    fn name(&self) -> &str {
        self.marker.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        match (self.marker, arguments) {
            (GapMarker::DateBin, _) => coerce_bins(name, arguments),
            (GapMarker::DateBinWallclock, _) => coerce_wall_clock(name, arguments),
            (GapMarker::Locf, [value]) => Ok(vec![value.clone()]),
            (GapMarker::Interpolate, [value]) if is_interpolated(value) => Ok(vec![value.clone()]),
            (GapMarker::Interpolate, [value]) => {
                plan_err!("{name} takes integers and floats, got {value}")
            }
            _ => plan_err!(
                "{name} takes one aggregate, got {} arguments",
                arguments.len()
            ),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value] if !self.marker.is_bin() => Ok(value.clone()),
            _ => type_of_bins(self.name(), arguments),
        }
    }

    fn invoke_with_args(&self, _call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{} cannot be used here", self.name())
    }
}

/// Numbers can be interpolated, and what a selector gives, by its value.
fn is_interpolated(kind: &DataType) -> bool {
    match kind {
        DataType::Int64 | DataType::UInt64 | DataType::Float64 => true,
        DataType::Struct(members) => members
            .iter()
            .any(|member| member.name() == "value" && is_interpolated(member.data_type())),
        _ => false,
    }
}
