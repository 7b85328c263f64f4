//! Tests of single edges; the model and the simulator go through the rest.
