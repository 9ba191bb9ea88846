//! Pickles: finding, keeping and building Python objects without running them.
