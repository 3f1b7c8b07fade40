//! Pictures of figures, as SVG.

use std::path::Path;

use plotters::prelude::*;

/// Bars, or lines over a logarithmic axis.
pub struct Plot {
    /// The file's name without its ending.
    pub file: &'static str,
    /// What it shows, with the unit.
    pub title: String,
    /// How it is drawn.
    pub kind: Kind,
}

/// How a plot is drawn.
pub enum Kind {
    /// One horizontal bar per name; and whether it is one of ours.
    Bars(Vec<(String, f64, bool)>),
    /// One line per name, through points, both axes logarithmic; and what the horizontal axis is.
    Lines(&'static str, Vec<(String, Vec<(f64, f64)>)>),
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
    /// Draws it into `folder`.
    pub fn draw(&self, folder: &Path) -> Result<(), String> {
        let path = folder.join(format!("{}.svg", self.file));
        match &self.kind {
            Kind::Bars(bars) => draw_bars(&path, &self.title, bars),
            Kind::Lines(axis, lines) => draw_lines(&path, &self.title, axis, lines),
        }
        .map_err(|error| format!("{}: {error}", path.display()))
    }
}

fn font(size: u32) -> (&'static str, u32) {
    ("sans-serif", size)
}

fn draw_bars(
    path: &Path,
    title: &str,
    bars: &[(String, f64, bool)],
) -> Result<(), Box<dyn std::error::Error>> {
    let count = u32::try_from(bars.len())?;
    let root = SVGBackend::new(path, (WIDTH, 60 + 30 * count)).into_drawing_area();
    root.fill(&WHITE)?;
    let most = bars.iter().map(|(_, value, _)| *value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(title, font(16))
        .margin(MARGIN)
        .set_label_area_size(LabelAreaPosition::Left, 250)
        .build_cartesian_2d(0.0..most * 1.15, (0..count - 1).into_segmented())?;
    let name = |at: &SegmentValue<u32>| match at {
        // The first stands on top.
        SegmentValue::CenterOf(at) => bars
            .get((count - 1 - at.min(&(count - 1))) as usize)
            .map_or_else(String::new, |(name, ..)| name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .y_label_style(font(13))
        .draw()?;
    for (row, (_, value, is_ours)) in (0_u32..).zip(bars) {
        let at = count - 1 - row;
        let ends = [
            (0.0, SegmentValue::Exact(at)),
            (*value, SegmentValue::Exact(at + 1)),
        ];
        let mut bar = Rectangle::new(ends, if *is_ours { BLUE } else { GREY }.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let text = if *value < 10.0 {
            format!("{value:.2}")
        } else {
            format!("{value:.0}")
        };
        chart.draw_series([Text::new(
            format!(" {text}"),
            (*value, SegmentValue::CenterOf(at)),
            font(13),
        )])?;
    }
    Ok(root.present()?)
}

fn draw_lines(
    path: &Path,
    title: &str,
    axis: &str,
    lines: &[(String, Vec<(f64, f64)>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (WIDTH, 380)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|(_, points)| points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        points()
            .map(of)
            .fold((f64::MAX, 0.0), |(low, high): (f64, f64), at| {
                (low.min(at), high.max(at))
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
        .x_label_formatter(&|at| format!("{at:.0}"))
        .y_label_formatter(&|at| format!("{at}"))
        .label_style(font(13))
        .draw()?;
    for ((name, points), color) in lines.iter().zip(PALETTE.iter().cycle()) {
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        chart.draw_series(
            points
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
