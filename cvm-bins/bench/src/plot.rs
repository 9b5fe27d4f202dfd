//! Draws a run over time as SVG: percentiles of latency above, throughput below.

use std::error::Error;

use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::summary::{QUANTILES, Summary, milliseconds};
use crate::timeline::Interval;

const SIZE: (u32, u32) = (960, 720);
const COLORS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(0, 158, 115), RGBColor(230, 159, 0), RGBColor(213, 94, 0)];

/// How much longer the axis of time is than the run: the legend stands there.
const ROOM: f64 = 1.12;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn Error>>;
type Point = (f64, f64);

/// Returns the picture.
pub(crate) fn draw(summary: &Summary) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(SIZE.1 * 3 / 5);
    let (intervals, seconds) = (intervals(summary), summary.elapsed.as_secs_f64() * ROOM);
    draw_latency(&upper, &intervals, seconds)?;
    draw_throughput(&lower, &intervals, seconds)?;
    root.present()?;
    drop((upper, lower, root));
    Ok(svg)
}

/// The last interval is left out if it is short: a few requests are no rate.
fn intervals(summary: &Summary) -> Vec<Interval<'_>> {
    let mut intervals: Vec<_> = summary.intervals().collect();
    if let [.., whole, last] = intervals.as_slice()
        && last.length < whole.length / 2
    {
        intervals.pop();
    }
    intervals
}

fn middle(interval: &Interval<'_>) -> f64 {
    (interval.start + interval.length / 2).as_secs_f64()
}

fn draw_latency(area: &Area<'_>, intervals: &[Interval<'_>], seconds: f64) -> Drawn {
    let busy = || intervals.iter().filter(|interval| !interval.latencies.is_empty());
    let line = |quantile| {
        let value = move |interval: &Interval<'_>| milliseconds(interval.latencies.value_at_quantile(quantile));
        busy().map(|interval| (middle(interval), value(interval).max(0.001))).collect::<Vec<Point>>()
    };
    let lines = QUANTILES.map(|(name, quantile)| (name, line(quantile)));
    let values = || lines.iter().flat_map(|(_, points)| points).map(|(_, value)| *value);
    let low = values().fold(f64::INFINITY, f64::min).min(1e9) / 1.5;
    let high = values().fold(low, f64::max) * 1.5;
    let range = (low..high).log_scale();
    let mut chart = chart(area, "Latency (ms)").build_cartesian_2d(0.0..seconds, range)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).draw()?;
    for ((name, points), color) in lines.into_iter().zip(COLORS) {
        draw_line(&mut chart, name, points, color)?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
    Ok(())
}

fn draw_throughput(area: &Area<'_>, intervals: &[Interval<'_>], seconds: f64) -> Drawn {
    let points: Vec<Point> = intervals.iter().map(|interval| (middle(interval), interval.throughput())).collect();
    let high = points.iter().map(|(_, value)| *value).fold(1.0, f64::max) * 1.1;
    let mut chart = chart(area, "Throughput (requests per second)").build_cartesian_2d(0.0..seconds, 0.0..high)?;
    chart.configure_mesh().x_desc("seconds").light_line_style(TRANSPARENT).draw()?;
    let [color, ..] = COLORS;
    draw_line(&mut chart, "requests per second", points, color)
}

fn chart<'a, 'b>(area: &'a Area<'b>, caption: &str) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.caption(caption, ("sans-serif", 18)).margin(12).x_label_area_size(36).y_label_area_size(64);
    chart
}

fn draw_line<Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<RangedCoordf64, Y>>,
    name: &str,
    points: Vec<Point>,
    color: RGBColor,
) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    // A line of one point would not be seen.
    let dots: Vec<_> = points.iter().map(|&point| Circle::new(point, 2, color.filled())).collect();
    chart
        .draw_series(LineSeries::new(points, color))?
        .label(name)
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    chart.draw_series(dots)?;
    Ok(())
}
