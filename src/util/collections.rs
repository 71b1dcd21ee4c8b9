//! Maps and a sort that compile to little code.

pub mod ordered_map;
pub mod run_index;
pub mod seq_map;
pub mod sort;
pub mod vec_map;
