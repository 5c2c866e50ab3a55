//! kernel measurement
