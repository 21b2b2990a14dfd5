//! A column: a tag, a field or `time`.
//!
//! Part of a `table`; which columns may be added is decided in `schema`.

use std::sync::Arc;

/// Unique in its table, in first-seen order, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    Float,
    Integer,
    Unsigned,
    String,
    Boolean,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    Tag,
    Field(FieldType),
    Time,
}

impl ColumnKind {
    /// The type's name in messages and in Arrow metadata, such as `iox::column_type::field::float`.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Tag => "iox::column_type::tag",
            Self::Time => "iox::column_type::timestamp",
            Self::Field(FieldType::Float) => "iox::column_type::field::float",
            Self::Field(FieldType::Integer) => "iox::column_type::field::integer",
            Self::Field(FieldType::Unsigned) => "iox::column_type::field::uinteger",
            Self::Field(FieldType::String) => "iox::column_type::field::string",
            Self::Field(FieldType::Boolean) => "iox::column_type::field::boolean",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub id: ColumnId,
    pub name: Arc<str>,
    pub kind: ColumnKind,
}
