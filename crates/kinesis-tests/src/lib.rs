//! A local Kinesis and what goes wrong with a real one, for end-to-end tests.
