//! simulated deployments
