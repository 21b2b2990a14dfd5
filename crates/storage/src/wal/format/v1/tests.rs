//! Tests of the bytes.
