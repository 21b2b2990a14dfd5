//! Every change the catalog can undergo, and how it is applied.
