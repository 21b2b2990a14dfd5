//! Line protocol as its callers see it: text tables of bodies and what becomes of their lines.

mod limits;
mod table;
mod tables;
