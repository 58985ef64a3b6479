//! Open-loop generator.
