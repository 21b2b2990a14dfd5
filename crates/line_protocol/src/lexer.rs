//! Finding the ends of things: lines, series, names.
