//! A page of Markdown with plots, made of records. Not here: measuring (`commands`), and what is measured (`suite`).

pub(crate) mod budget;
pub(crate) mod page;
pub(crate) mod plot;
pub(crate) mod table;
