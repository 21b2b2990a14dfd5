//! Plots as SVG. What they show stands in tables too; nothing can be read from a plot alone.

use crate::Error;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;

const SIZE: (u32, u32) = (900, 420);
const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(214, 39, 40),
    RGBColor(127, 127, 127),
];

/// A named line or a named set of bars.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<[f64; 2]>,
}

/// What stands around a plot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captions<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
}

/// Lines over a common x, the y axis from zero on.
pub(crate) fn lines(path: &Path, captions: Captions<'_>, curves: &[Curve]) -> Result<(), Error> {
    let x_max = largest(curves, 0);
    let y_max = largest(curves, 1) * 1.05;
    draw(path, captions, curves, 0.0..x_max, 0.0..y_max)
}

/// Lines with a y axis in powers of ten, for what spans several of them.
pub(crate) fn lines_over_decades(
    path: &Path,
    captions: Captions<'_>,
    curves: &[Curve],
) -> Result<(), Error> {
    let x_max = largest(curves, 0);
    let y = decades(curves);
    draw(path, captions, curves, 0.0..x_max, y.log_scale())
}

/// Bars side by side for each name, with a y axis in powers of ten; the points' x is the position of the name.
pub(crate) fn bars(
    path: &Path,
    captions: Captions<'_>,
    names: &[String],
    curves: &[Curve],
) -> Result<(), Error> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let y = decades(curves);
    let floor = y.start;
    let mut chart = ChartBuilder::on(&area)
        .caption(captions.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(130)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..names.len() as f64, y.log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc(captions.y)
        .draw()?;
    let width = 0.8 / curves.len().max(1) as f64;
    for (number, (curve, color)) in curves.iter().zip(COLORS.iter().cycle()).enumerate() {
        let left = |x: f64| x + 0.1 + width * number as f64;
        chart
            .draw_series(curve.points.iter().map(|[x, y]| {
                let corners = [(left(*x), floor), (left(*x) + width, *y)];
                Rectangle::new(corners, color.filled())
            }))?
            .label(curve.name.as_str())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], color.filled()));
    }
    for (position, name) in names.iter().enumerate() {
        let style = ("sans-serif", 12)
            .into_font()
            .transform(FontTransform::Rotate90)
            .color(&BLACK);
        let (x, y) = chart.backend_coord(&(position as f64 + 0.65, floor));
        area.draw(&Text::new(name.as_str(), (x, y + 6), style))?;
    }
    legend(&mut chart)?;
    area.present()?;
    Ok(())
}

fn draw<Y>(
    path: &Path,
    captions: Captions<'_>,
    curves: &[Curve],
    x: Range<f64>,
    y: Y,
) -> Result<(), Error>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(captions.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(80)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(captions.x)
        .y_desc(captions.y)
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS.iter().cycle()) {
        let points = curve.points.iter().map(|[x, y]| (*x, *y));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)))?
            .label(curve.name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 15, y)], color.stroke_width(2)));
    }
    legend(&mut chart)?;
    area.present()?;
    Ok(())
}

fn legend<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
) -> Result<(), Error>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn largest(curves: &[Curve], axis: usize) -> f64 {
    let values = curves
        .iter()
        .flat_map(|curve| curve.points.iter().map(|point| point[axis]));
    values.fold(f64::MIN_POSITIVE, f64::max)
}

/// The powers of ten around all values above zero.
fn decades(curves: &[Curve]) -> Range<f64> {
    let values = curves
        .iter()
        .flat_map(|curve| curve.points.iter().map(|point| point[1]))
        .filter(|value| *value > 0.0);
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return 0.1..1.0;
    }
    let power = |value: f64| 10_f64.powf(value);
    power(low.log10().floor())..power((high.log10() + 0.01).ceil())
}

#[cfg(test)]
mod tests {
    use super::{Captions, Curve, bars, decades, lines, lines_over_decades};

    #[test]
    fn a_plot_names_what_it_shows() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let captions = Captions {
            title: "Rows",
            x: "seconds",
            y: "rows in a second",
        };
        let curves = [
            Curve {
                name: "one".to_owned(),
                points: vec![[0.0, 1.0], [1.0, 250.0]],
            },
            Curve {
                name: "other".to_owned(),
                points: vec![[0.0, 0.0], [1.0, 3.0]],
            },
        ];
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a plot");
        let path = |name: &str| folder.path().join(name);
        lines(&path("a.svg"), captions, &curves).expect("it can be drawn");
        lines_over_decades(&path("b.svg"), captions, &curves).expect("it can be drawn");
        for name in ["a.svg", "b.svg"] {
            let svg = read(name);
            for text in ["Rows", "seconds", "rows in a second", "one", "other"] {
                assert!(svg.contains(text), "{name}: {text}");
            }
        }
        let names = ["lastpoint".to_owned(), "high-cpu".to_owned()];
        bars(&path("c.svg"), captions, &names, &curves).expect("it can be drawn");
        assert!(read("c.svg").contains("lastpoint"));
        // Nothing to show is no failure.
        lines(&path("d.svg"), captions, &[]).expect("it can be drawn");
        lines_over_decades(&path("e.svg"), captions, &[]).expect("it can be drawn");
    }

    #[test]
    fn decades_are_whole() {
        let curve = |points| Curve {
            name: String::new(),
            points,
        };
        let range = decades(&[curve(vec![[0.0, 0.3], [0.0, 250.0], [0.0, 0.0]])]);
        assert!(
            (range.start - 0.1).abs() < 1e-9 && (range.end - 1_000.0).abs() < 1e-6,
            "{range:?}"
        );
        assert_eq!(decades(&[]), 0.1..1.0);
    }
}
