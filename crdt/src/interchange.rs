//! A page as other programs know it: paths and text to paint, SVG, Excalidraw's JSON in and out. What is read here was made by anyone; it must
//! never cost more than it is long, nor fetch anything it names.

pub mod drawing;
pub mod excalidraw;
pub mod picture;
pub mod svg;
