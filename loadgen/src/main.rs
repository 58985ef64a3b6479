//! Open-loop generator of checkouts: files, standard output, at a pace or as fast as it can.
fn main() {}
