//! Plots, drawn as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::error::BenchError;

/// A plot of measured figures.
pub struct Plot {
    /// The file name without its extension.
    pub file: &'static str,
    /// The title, with the unit.
    pub title: String,
    /// The drawn figures.
    pub figures: Figures,
}

/// The figures of a plot. Their kind determines the kind of plot.
pub enum Figures {
    /// Horizontal bars, from top to bottom.
    Bars(Vec<Bar>),
    /// Lines over two logarithmic axes.
    Lines {
        /// The title of the horizontal axis.
        axis: &'static str,
        /// The lines, in the order of their colors.
        lines: Vec<Line>,
    },
}

/// A horizontal bar.
pub struct Bar {
    /// The label to the left of the bar.
    pub name: String,
    /// The value that the length of the bar shows.
    pub value: f64,
    /// The color of the bar.
    pub color: BarColor,
}

/// The color of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarColor {
    /// Blue, for Greenroom.
    Greenroom,
    /// Grey, for everything that Greenroom is compared with.
    Other,
}

/// A line through points.
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// The points, from left to right.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: u32 = 760;
const MARGIN: u32 = 12;
const BLUE: RGBColor = RGBColor(46, 107, 164);
const GREY: RGBColor = RGBColor(150, 150, 150);
const PALETTE: [RGBColor; 4] = [
    BLUE,
    RGBColor(200, 90, 40),
    RGBColor(60, 140, 80),
    RGBColor(130, 80, 150),
];

impl Plot {
    /// Draws the plot into a file in `folder`.
    pub fn draw(&self, folder: &Path) -> Result<(), BenchError> {
        let path = folder.join(format!("{}.svg", self.file));
        match &self.figures {
            Figures::Bars(bars) => draw_bars(&path, &self.title, bars),
            Figures::Lines { axis, lines } => draw_lines(&path, &self.title, axis, lines),
        }
        .map_err(|error| BenchError::Plot {
            path,
            reason: error.to_string(),
        })
    }
}

fn font(size: u32) -> (&'static str, u32) {
    ("sans-serif", size)
}

fn draw_bars(path: &Path, title: &str, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let count = u32::try_from(bars.len())?;
    let root = SVGBackend::new(path, (WIDTH, 60 + 30 * count)).into_drawing_area();
    root.fill(&WHITE)?;
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    // The margin to the right of the bars has space for the value of the longest bar.
    let mut chart = ChartBuilder::on(&root)
        .caption(title, font(16))
        .margin(MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, 250)
        .build_cartesian_2d(0.0..longest * 1.15, (0..count - 1).into_segmented())?;
    let label = |segment: &SegmentValue<u32>| match segment {
        // The vertical axis points up, so the rows are reversed to show the first bar at the top.
        SegmentValue::CenterOf(row) => bars
            .get((count - 1 - row.min(&(count - 1))) as usize)
            .map_or_else(String::new, |bar| bar.name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(bars.len())
        .y_label_formatter(&label)
        .y_label_style(font(13))
        .draw()?;
    for (index, bar) in (0_u32..).zip(bars) {
        let row = count - 1 - index;
        let corners = [
            (0.0, SegmentValue::Exact(row)),
            (bar.value, SegmentValue::Exact(row + 1)),
        ];
        let color = match bar.color {
            BarColor::Greenroom => BLUE,
            BarColor::Other => GREY,
        };
        let mut rectangle = Rectangle::new(corners, color.filled());
        rectangle.set_margin(4, 4, 0, 0);
        chart.draw_series([rectangle])?;
        let text = if bar.value < 10.0 {
            format!("{:.2}", bar.value)
        } else {
            format!("{:.0}", bar.value)
        };
        chart.draw_series([Text::new(
            format!(" {text}"),
            (bar.value, SegmentValue::CenterOf(row)),
            font(13),
        )])?;
    }
    Ok(root.present()?)
}

fn draw_lines(
    path: &Path,
    title: &str,
    axis: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (WIDTH, 380)).into_drawing_area();
    root.fill(&WHITE)?;
    let bounds = |coordinate: fn(&(f64, f64)) -> f64| {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(coordinate)
            .fold((f64::MAX, 0.0), |(low, high): (f64, f64), value| {
                (low.min(value), high.max(value))
            })
    };
    let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
    let mut chart = ChartBuilder::on(&root)
        .caption(title, font(16))
        .margin(MARGIN)
        .margin_right(4 * MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, 70)
        .set_label_area_size(LabelAreaPosition::Bottom, 45)
        .build_cartesian_2d(
            (left..right).log_scale(),
            (low / 2.0..high * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc(axis)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value}"))
        .label_style(font(13))
        .draw()?;
    for (line, color) in lines.iter().zip(PALETTE.iter().cycle()) {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        chart.draw_series(
            line.points
                .iter()
                .map(|point| Circle::new(*point, 3, color.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(font(13))
        .draw()?;
    Ok(root.present()?)
}
