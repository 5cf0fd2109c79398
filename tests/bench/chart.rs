//! The table as a drawing: CPU for a message, and throughput, each as a multiple of mosquitto's.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::table::Line;

const SIZE: (u32, u32) = (900, 380);
const OURS: RGBColor = RGBColor(0x0B, 0x72, 0x85);
const THEIRS: RGBColor = RGBColor(0xAD, 0xB5, 0xBD);

pub fn draw(file: &Path, lines: &[Line]) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    bars(&left, "messages a second, mosquitto bridge = 1", lines, Line::rate_ratio)?;
    bars(&right, "CPU for a message, mosquitto bridge = 1", lines, Line::cpu_ratio)?;
    area.present()?;
    Ok(())
}

fn bars<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    title: &str,
    lines: &[Line],
    ratio: impl Fn(&Line) -> f64,
) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    let most = lines.iter().map(&ratio).fold(1.0, f64::max) * 1.15;
    let count = lines.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(8)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..most, 0.0..count)?;
    chart.draw_series([Rectangle::new([(0.0, 0.0), (1.0, count)], THEIRS.mix(0.35).filled())])?;
    for (row, line) in lines.iter().rev().enumerate() {
        let (bottom, value) = (row as f64, ratio(line));
        chart.draw_series([Rectangle::new([(0.0, bottom + 0.2), (value, bottom + 0.8)], OURS.filled())])?;
        let label = |text: String, x: f64| Text::new(text, (x, bottom + 0.6), ("sans-serif", 13));
        chart.draw_series([label(format!("{value:.2}x"), value + most * 0.01)])?;
        let at = chart.backend_coord(&(0.0, bottom + 0.6));
        let (base_x, base_y) = area.get_base_pixel();
        area.draw(&Text::new(line.name.clone(), (at.0 - base_x - 115, at.1 - base_y), ("sans-serif", 13)))?;
    }
    Ok(())
}
