//! The types of SQL as drivers want to hear of them: the answer to GetXdbcTypeInfo (spec/flight.md §5.2).
//!
//! Not here: types on the wire (`wire`).

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode,
};
use tonic::Status;

use super::status::internal;

/// Rows for the type that `command` asks for, or for all there are.
pub(super) fn type_info(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch, Status> {
    let types = TYPES
        .as_ref()
        .map_err(|fault| internal("the list of types", fault))?;
    command
        .into_builder(types)
        .build()
        .map_err(|fault| internal("the list of types", &fault))
}

static TYPES: LazyLock<Result<XdbcTypeInfoData, String>> = LazyLock::new(|| {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for kind in all() {
        types.append(kind);
    }
    types.build().map_err(|fault| fault.to_string())
});

fn all() -> [XdbcTypeInfo; 5] {
    let quoted = |name: &str, kind| XdbcTypeInfo {
        column_size: Some(i32::MAX),
        literal_prefix: Some("'".to_string()),
        literal_suffix: Some("'".to_string()),
        ..plain(name, kind)
    };
    let number = |name: &str, kind, digits, radix| XdbcTypeInfo {
        column_size: Some(digits),
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(radix),
        ..plain(name, kind)
    };
    [
        XdbcTypeInfo {
            create_params: Some(vec!["length".to_string()]),
            case_sensitive: true,
            ..quoted("VARCHAR", XdbcDataType::XdbcVarchar)
        },
        number("INTEGER", XdbcDataType::XdbcInteger, 32, 2),
        number("FLOAT", XdbcDataType::XdbcFloat, 24, 2),
        XdbcTypeInfo {
            minimum_scale: Some(0),
            maximum_scale: Some(9),
            sql_data_type: XdbcDataType::XdbcDatetime,
            datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeTimestamp),
            ..quoted("TIMESTAMP", XdbcDataType::XdbcTimestamp)
        },
        XdbcTypeInfo {
            datetime_subcode: Some(XdbcDatetimeSubcode::XdbcSubcodeUnknown),
            ..quoted("INTERVAL", XdbcDataType::XdbcInterval)
        },
    ]
}

fn plain(name: &str, kind: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_string(),
        local_type_name: Some(name.to_string()),
        data_type: kind,
        sql_data_type: kind,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        ..XdbcTypeInfo::default()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    fn names(data_type: Option<i32>) -> Vec<String> {
        let rows = type_info(CommandGetXdbcTypeInfo { data_type }).expect("types");
        let names = rows.column(0).as_string::<i32>();
        names.iter().flatten().map(str::to_string).collect()
    }

    #[test]
    fn types_by_number() {
        assert_eq!(
            names(None),
            ["INTEGER", "FLOAT", "INTERVAL", "VARCHAR", "TIMESTAMP"]
        );
        assert_eq!(names(Some(XdbcDataType::XdbcVarchar as i32)), ["VARCHAR"]);
        assert!(names(Some(77)).is_empty());
    }
}
