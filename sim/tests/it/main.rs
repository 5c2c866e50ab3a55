//! Tests of whole runs: the engine against a naive simulator, against closed forms, and against schedules worked out by
//! hand.

mod cost;
mod engine;
mod exactness;
mod reference;
mod scenario;
mod script;
mod traffic;
