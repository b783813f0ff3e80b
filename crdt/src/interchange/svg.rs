//! A drawing as SVG 1.1: paths and text, nothing that is fetched and nothing that runs.

use std::fmt::Write;

use crate::interchange::drawing::{Drawing, Item, LINE_HEIGHT, Step};
use crate::interchange::picture::{Picture, Pictures};
use crate::shape::{Align, Color};

/// The text of an SVG file, the pictures in it.
pub fn write(drawing: &Drawing, pictures: &Pictures) -> String {
    let b = drawing.bounds;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"{} {} {} {}\" width=\"{}\" height=\"{}\">\n",
        number(b.x0),
        number(b.y0),
        number(b.width()),
        number(b.height()),
        number(b.width()),
        number(b.height())
    );
    for item in &drawing.items {
        write_item(&mut out, item, pictures);
    }
    out.push_str("</svg>\n");
    out
}

fn write_item(out: &mut String, item: &Item, pictures: &Pictures) {
    // Writing to a string does not fail.
    let _ = match item {
        Item::Path { steps, fill, stroke, width, dash } => {
            out.push_str("<path d=\"");
            for step in steps {
                let _ = match step {
                    Step::Move(x, y) => write!(out, "M{} {}", number(*x), number(*y)),
                    Step::Line(x, y) => write!(out, "L{} {}", number(*x), number(*y)),
                    Step::Curve([a, b, c, d, x, y]) => {
                        let [a, b, c, d, x, y] = [a, b, c, d, x, y].map(|value| number(*value));
                        write!(out, "C{a} {b} {c} {d} {x} {y}")
                    }
                    Step::Close => write!(out, "Z"),
                };
            }
            let _ = write!(out, "\" {} {}", paint("fill", *fill), paint("stroke", *stroke));
            if !stroke.is_none() {
                let _ = write!(out, " stroke-width=\"{}\" stroke-linecap=\"round\" stroke-linejoin=\"round\"", number(*width));
                if !dash.is_empty() {
                    let lengths: Vec<String> = dash.iter().map(|length| number(*length)).collect();
                    let _ = write!(out, " stroke-dasharray=\"{}\"", lengths.join(" "));
                }
            }
            writeln!(out, "/>")
        }
        Item::Text { at, lines, size, align, color, angle, about } => {
            let anchor = match align {
                Align::Left => "start",
                Align::Center => "middle",
                Align::Right => "end",
            };
            let turn = if *angle == 0.0 {
                String::new()
            } else {
                format!(" transform=\"rotate({} {} {})\"", number(angle.to_degrees()), number(about.0), number(about.1))
            };
            let _ = write!(
                out,
                "<text font-family=\"sans-serif\" font-size=\"{}\" text-anchor=\"{anchor}\" {} xml:space=\"preserve\"{turn}>",
                number(*size),
                paint("fill", *color)
            );
            for (row, line) in lines.iter().enumerate() {
                let y = at.1 + row as f32 * size * LINE_HEIGHT;
                let _ = write!(out, "<tspan x=\"{}\" y=\"{}\">{}</tspan>", number(at.0), number(y), escape(line));
            }
            writeln!(out, "</text>")
        }
        Item::Image { corners: [zero, right, _, down], name, opacity } if pictures.contains_key(name) => {
            // The unit square, to where the corners lie: moved, stretched and turned at once.
            let matrix = [right.0 - zero.0, right.1 - zero.1, down.0 - zero.0, down.1 - zero.1, zero.0, zero.1].map(number);
            let url = pictures.get(name).map(Picture::data_url).unwrap_or_default();
            let faded =
                if *opacity < 100 { format!(" opacity=\"{}\"", number(f32::from(*opacity) / 100.0)) } else { String::new() };
            writeln!(
                out,
                "<image width=\"1\" height=\"1\" preserveAspectRatio=\"none\" transform=\"matrix({})\"{faded} xlink:href=\"{url}\"/>",
                matrix.join(" ")
            )
        }
        Item::Image { corners, .. } => {
            let points: Vec<String> = corners.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
            writeln!(out, "<polygon points=\"{}\" fill=\"#f1f3f5\" stroke=\"#868e96\"/>", points.join(" "))
        }
    };
}

fn paint(what: &str, color: Color) -> String {
    let [r, g, b, a] = color.rgba();
    match a {
        0 => format!("{what}=\"none\""),
        255 => format!("{what}=\"#{r:02x}{g:02x}{b:02x}\""),
        _ => format!("{what}=\"#{r:02x}{g:02x}{b:02x}\" {what}-opacity=\"{}\"", number(f32::from(a) / 255.0)),
    }
}

/// At most three digits after the point.
fn number(value: f32) -> String {
    let rounded = (f64::from(value) * 1000.0).round() / 1000.0;
    if rounded == 0.0 { "0".to_owned() } else { format!("{rounded}") }
}

/// Without what XML 1.0 does not allow at all.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
