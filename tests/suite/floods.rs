//! Clients that mean harm, or are broken: what they can take from others is bounded, and the server stops when it is told to.

mod bodies;
mod connections;
mod logs;
mod parsers;
