//! HTTPRoute.

mod cors;
mod headers;
mod hostnames;
mod matching;
mod mirrors;
mod persistence;
mod protocols;
mod redirects;
mod rewrites;
mod route_filters;
mod timeouts;
mod weights;
