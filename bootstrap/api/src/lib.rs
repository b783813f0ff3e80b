//! Requests, responses and claims of the bootstrap node.
