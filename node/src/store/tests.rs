//! Tests of the store: what it promises to keep, to hide and to refuse.
