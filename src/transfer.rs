//! PURE: the file of `exportUser` and `importUser`: lines of JSON, their order and their digest.
//!
//! The first line is the [`file::FileHeader`], the last one has the number of lines and a digest of
//! them, so that a file that was cut or changed is recognised. Everything between stands for
//! itself: [`write`] writes a line at a time, and [`read`] accepts any chunks of bytes.
//!
//! The lines hold what is stored, in the form in which it is stored. A later version may add
//! members, which an earlier one ignores; what an earlier one must not ignore is a new format.

pub mod fields;
pub mod file;
pub mod operation;
pub mod read;
pub mod write;
