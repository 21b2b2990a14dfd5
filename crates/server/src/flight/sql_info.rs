//! What the server says of itself and of its SQL: the answer to GetSqlInfo (spec/flight.md §5.2).
//!
//! Name and version are those that clients know to deal with. Not here: types (`type_info`).

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel,
    SqlSupportedCaseSensitivity, SqlSupportedGroupBy, SqlSupportedSubqueries,
    SqlSupportedTransaction, SqlSupportedUnions, SupportedSqlGrammar,
};
use tonic::Status;

use super::status::internal;

/// Rows for the numbers that `command` asks for, or for all there are.
pub(super) fn sql_info(command: CommandGetSqlInfo) -> Result<RecordBatch, Status> {
    let facts = FACTS
        .as_ref()
        .map_err(|fault| internal("the server's facts", fault))?;
    command
        .into_builder(facts)
        .build()
        .map_err(|fault| internal("the server's facts", &fault))
}

static FACTS: LazyLock<Result<SqlInfoData, String>> =
    LazyLock::new(|| facts().build().map_err(|fault| fault.to_string()));

fn facts() -> SqlInfoDataBuilder {
    let mut facts = SqlInfoDataBuilder::new();
    for (name, value) in TEXTS {
        facts.append(name, value);
    }
    for (name, value) in TRUTHS {
        facts.append(name, value);
    }
    for (name, value) in NUMBERS {
        facts.append(name, value);
    }
    for name in LIMITS {
        // Nothing limits them but memory.
        facts.append(name, i64::from(i32::MAX));
    }
    for (name, list) in LISTS {
        facts.append(name, list);
    }
    facts
}

const TEXTS: [(SqlInfo, &str); 8] = [
    (SqlInfo::FlightSqlServerName, "InfluxDB IOx"),
    (SqlInfo::FlightSqlServerVersion, "2"),
    (SqlInfo::FlightSqlServerArrowVersion, "1.3"),
    (SqlInfo::SqlIdentifierQuoteChar, "\""),
    (SqlInfo::SqlSearchStringEscape, "\\"),
    (SqlInfo::SqlExtraNameCharacters, ""),
    (SqlInfo::SqlSchemaTerm, "schema"),
    (SqlInfo::SqlCatalogTerm, "catalog"),
];

const TRUTHS: [(SqlInfo, bool); 31] = [
    (SqlInfo::FlightSqlServerReadOnly, true),
    (SqlInfo::FlightSqlServerSql, true),
    (SqlInfo::FlightSqlServerSubstrait, false),
    (SqlInfo::FlightSqlServerCancel, false),
    (SqlInfo::FlightSqlServerBulkIngestion, false),
    (SqlInfo::FlightSqlServerIngestTransactionsSupported, false),
    (SqlInfo::SqlDdlCatalog, false),
    (SqlInfo::SqlDdlSchema, false),
    (SqlInfo::SqlDdlTable, false),
    (SqlInfo::SqlAllTablesAreSelectable, true),
    (SqlInfo::SqlSupportsColumnAliasing, true),
    (SqlInfo::SqlNullPlusNullIsNull, true),
    (SqlInfo::SqlSupportsTableCorrelationNames, true),
    (SqlInfo::SqlSupportsDifferentTableCorrelationNames, false),
    (SqlInfo::SqlSupportsExpressionsInOrderBy, true),
    (SqlInfo::SqlSupportsOrderByUnrelated, true),
    (SqlInfo::SqlSupportsLikeEscapeClause, true),
    (SqlInfo::SqlSupportsNonNullableColumns, true),
    (SqlInfo::SqlSupportsIntegrityEnhancementFacility, false),
    (SqlInfo::SqlCatalogAtStart, true),
    (SqlInfo::SqlSelectForUpdateSupported, false),
    (SqlInfo::SqlStoredProceduresSupported, false),
    (SqlInfo::SqlCorrelatedSubqueriesSupported, true),
    (SqlInfo::SqlMaxRowSizeIncludesBlobs, true),
    (SqlInfo::SqlTransactionsSupported, false),
    (SqlInfo::SqlDataDefinitionCausesTransactionCommit, false),
    (SqlInfo::SqlDataDefinitionsInTransactionsIgnored, true),
    (SqlInfo::SqlBatchUpdatesSupported, false),
    (SqlInfo::SqlSavepointsSupported, false),
    (SqlInfo::SqlNamedParametersSupported, true),
    (SqlInfo::SqlLocatorsUpdateCopy, false),
];

/// Choices, and sets of choices as bits.
const NUMBERS: [(SqlInfo, i32); 19] = [
    (
        SqlInfo::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    ),
    (SqlInfo::FlightSqlServerStatementTimeout, 0),
    (SqlInfo::FlightSqlServerTransactionTimeout, 0),
    (
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    ),
    // Kept as it is, for which there is no number.
    (
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
    ),
    (
        SqlInfo::SqlNullOrdering,
        SqlNullOrdering::SqlNullsSortedHigh as i32,
    ),
    (
        SqlInfo::SqlSupportedGroupBy,
        1 << SqlSupportedGroupBy::SqlGroupByUnrelated as i32
            | 1 << SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32,
    ),
    (
        SqlInfo::SqlSupportedGrammar,
        1 << SupportedSqlGrammar::SqlMinimumGrammar as i32
            | 1 << SupportedSqlGrammar::SqlCoreGrammar as i32
            | 1 << SupportedSqlGrammar::SqlExtendedGrammar as i32,
    ),
    // Entry, intermediate and full.
    (SqlInfo::SqlAnsi92SupportedLevel, 0b111),
    (
        SqlInfo::SqlOuterJoinsSupportLevel,
        1 << SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32
            | 1 << SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
    ),
    (SqlInfo::SqlSchemasSupportedActions, 0),
    (SqlInfo::SqlCatalogsSupportedActions, 0),
    (SqlInfo::SqlSupportedPositionedCommands, 0),
    (
        SqlInfo::SqlSupportedSubqueries,
        1 << SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInExists as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInIns as i32
            | 1 << SqlSupportedSubqueries::SqlSubqueriesInQuantifieds as i32,
    ),
    (
        SqlInfo::SqlSupportedUnions,
        1 << SqlSupportedUnions::SqlUnion as i32 | 1 << SqlSupportedUnions::SqlUnionAll as i32,
    ),
    (SqlInfo::SqlDefaultTransactionIsolation, 0),
    (SqlInfo::SqlSupportedTransactionsIsolationLevels, 0),
    (SqlInfo::SqlSupportedResultSetTypes, 0),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, 0),
];

const LIMITS: [SqlInfo; 20] = [
    SqlInfo::SqlMaxBinaryLiteralLength,
    SqlInfo::SqlMaxCharLiteralLength,
    SqlInfo::SqlMaxColumnNameLength,
    SqlInfo::SqlMaxColumnsInGroupBy,
    SqlInfo::SqlMaxColumnsInIndex,
    SqlInfo::SqlMaxColumnsInOrderBy,
    SqlInfo::SqlMaxColumnsInSelect,
    SqlInfo::SqlMaxColumnsInTable,
    SqlInfo::SqlMaxConnections,
    SqlInfo::SqlMaxCursorNameLength,
    SqlInfo::SqlMaxIndexLength,
    SqlInfo::SqlDbSchemaNameLength,
    SqlInfo::SqlMaxProcedureNameLength,
    SqlInfo::SqlMaxCatalogNameLength,
    SqlInfo::SqlMaxRowSize,
    SqlInfo::SqlMaxStatementLength,
    SqlInfo::SqlMaxStatements,
    SqlInfo::SqlMaxTableNameLength,
    SqlInfo::SqlMaxTablesInSelect,
    SqlInfo::SqlMaxUsernameLength,
];

const LISTS: [(SqlInfo, &[&str]); 5] = [
    (SqlInfo::SqlKeywords, &KEYWORDS),
    (SqlInfo::SqlNumericFunctions, &NUMERIC_FUNCTIONS),
    (SqlInfo::SqlStringFunctions, &STRING_FUNCTIONS),
    (SqlInfo::SqlSystemFunctions, &SYSTEM_FUNCTIONS),
    (SqlInfo::SqlDatetimeFunctions, &DATETIME_FUNCTIONS),
];

/// Words that have to be quoted to be names, somewhere in a statement at least.
const KEYWORDS: [&str; 93] = [
    "ALL",
    "ANALYZE",
    "AND",
    "ANTI",
    "ANY",
    "AS",
    "ASC",
    "ASOF",
    "AT",
    "BETWEEN",
    "BOTH",
    "BY",
    "CASE",
    "CAST",
    "CLUSTER",
    "COLLATE",
    "COLUMNS",
    "CONNECT",
    "CROSS",
    "CUBE",
    "CURRENT",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DISTRIBUTE",
    "ELSE",
    "END",
    "ESCAPE",
    "EXCEPT",
    "EXCLUDE",
    "EXISTS",
    "EXPLAIN",
    "EXTRACT",
    "FALSE",
    "FETCH",
    "FILTER",
    "FIRST",
    "FOLLOWING",
    "FOR",
    "FROM",
    "FULL",
    "GLOBAL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LAST",
    "LATERAL",
    "LEADING",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "QUALIFY",
    "RANGE",
    "RECURSIVE",
    "RIGHT",
    "ROLLUP",
    "ROW",
    "ROWS",
    "SELECT",
    "SEMI",
    "SETS",
    "SHOW",
    "SOME",
    "TABLE",
    "THEN",
    "TRAILING",
    "TRUE",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

const NUMERIC_FUNCTIONS: [&str; 41] = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "pow",
    "power",
    "radians",
    "random",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    "greatest",
    "least",
];

const STRING_FUNCTIONS: [&str; 48] = [
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "decode",
    "encode",
    "ends_with",
    "find_in_set",
    "initcap",
    "instr",
    "left",
    "length",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "octet_length",
    "overlay",
    "position",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "to_hex",
    "translate",
    "trim",
    "upper",
];

const SYSTEM_FUNCTIONS: [&str; 8] = [
    "arrow_cast",
    "arrow_typeof",
    "coalesce",
    "get_field",
    "nullif",
    "nvl",
    "nvl2",
    "version",
];

const DATETIME_FUNCTIONS: [&str; 26] = [
    "current_date",
    "current_time",
    "current_timestamp",
    "date_bin",
    "date_format",
    "date_part",
    "date_trunc",
    "datepart",
    "datetrunc",
    "extract",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "today",
    "date_bin_gapfill",
    "date_bin_wallclock",
    "tz",
];

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, UInt32Type, UnionMode};
    use arrow::util::display::array_value_to_string;

    use super::*;

    fn answer(info: Vec<u32>) -> RecordBatch {
        sql_info(CommandGetSqlInfo { info }).expect("facts")
    }

    fn value(number: u32) -> String {
        let rows = answer(vec![number]);
        assert_eq!(rows.num_rows(), 1, "{number}");
        array_value_to_string(rows.column(1), 0).expect("shows")
    }

    #[test]
    fn the_shape_is_the_one_that_drivers_read_without_looking() {
        let schema = answer(vec![]).schema();
        assert_eq!(schema.field(0).data_type(), &DataType::UInt32);
        let DataType::Union(children, UnionMode::Dense) = schema.field(1).data_type() else {
            panic!("{schema}");
        };
        let names: Vec<&str> = children
            .iter()
            .map(|(_, child)| child.name().as_str())
            .collect();
        assert_eq!(
            names,
            [
                "string_value",
                "bool_value",
                "bigint_value",
                "int32_bitmask",
                "string_list",
                "int32_to_int32_list_map"
            ]
        );
        assert!(schema.fields().iter().all(|field| !field.is_nullable()));
    }

    #[test]
    fn facts_that_clients_ask_for() {
        assert_eq!(value(0), "{string_value=InfluxDB IOx}");
        assert_eq!(value(1), "{string_value=2}");
        assert_eq!(value(2), "{string_value=1.3}");
        assert_eq!(value(3), "{bool_value=true}");
        assert_eq!(value(8), "{int32_bitmask=0}");
        assert_eq!(value(504), "{string_value=\"}");
        assert_eq!(value(522), "{int32_bitmask=3}");
        assert_eq!(value(526), "{int32_bitmask=7}");
        assert_eq!(value(538), "{int32_bitmask=15}");
        assert_eq!(value(540), "{int32_bitmask=3}");
        assert_eq!(value(543), "{bigint_value=2147483647}");
        assert!(value(508).contains("SELECT"));
        assert!(value(512).contains("date_bin"));
    }

    #[test]
    fn all_of_them_in_order_and_unknown_ones_not() {
        let rows = answer(vec![]);
        let numbers = rows.column(0).as_primitive::<UInt32Type>();
        assert_eq!(
            rows.num_rows(),
            TEXTS.len() + TRUTHS.len() + NUMBERS.len() + LIMITS.len() + LISTS.len()
        );
        assert!(numbers.values().is_sorted());
        assert_eq!(numbers.null_count(), 0);
        assert_eq!(answer(vec![99_999]).num_rows(), 0);
        assert_eq!(answer(vec![0, 99_999]).num_rows(), 1);
    }
}
