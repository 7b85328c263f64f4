//! Packets from files and interfaces.
