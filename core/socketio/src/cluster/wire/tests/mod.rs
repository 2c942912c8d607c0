//! Rules of the wires.
