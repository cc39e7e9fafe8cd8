//! The server as its users meet it: the real binary, real files, a real Envoy.

mod commands;
mod faults;
mod house;
mod live;
mod network;
mod pod;
mod refusals;
