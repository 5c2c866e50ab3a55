//! Tests of whole runs: the engine against a naive simulator, against closed forms, and against schedules worked out by
//! hand.

mod books;
mod cost;
mod deployment;
mod determinism;
mod engine;
mod errors;
mod exactness;
mod hand;
mod handover;
mod layered;
mod mixing;
mod network;
mod own_scheduler;
mod pipeline;
mod prefix_cache;
mod prefix_groups;
mod queueing;
mod reference;
mod residency;
mod scenario;
mod script;
mod simdistserve;
mod slices;
mod stalls;
mod traffic;
