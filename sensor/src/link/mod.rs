//! Frames to the inner IP packet.
