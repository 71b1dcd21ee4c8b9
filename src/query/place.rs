//! Distances on the globe.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use crate::query::cell::Cell;

/// The mean radius of the earth, in metres.
const RADIUS: f64 = 6_371_008.8;

/// A point, in degrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) latitude: f64,
    pub(super) longitude: f64,
}

impl Point {
    /// Reads an object with `latitude` and `longitude`; `None` if it is no point on the globe.
    pub(super) fn read(cell: Cell<'_>) -> Option<Self> {
        let (mut latitude, mut longitude) = (None, None);
        for (name, value) in cell.members() {
            match name {
                b"latitude" => latitude = Some(value),
                b"longitude" => longitude = Some(value),
                _ => {}
            }
        }
        match (latitude?, longitude?) {
            (Cell::Number(latitude), Cell::Number(longitude)) => Self::new(latitude, longitude),
            _ => None,
        }
    }

    /// Returns a point; `None` if the numbers are out of range.
    pub(super) fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let fits = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        fits.then_some(Self {
            latitude,
            longitude,
        })
    }
}

/// A circle on the globe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    centre: Point,
    /// The haversine of the radius; `None` if it reaches around the globe.
    reach: Option<f64>,
}

impl Circle {
    /// Returns the circle around a point.
    pub(super) fn new(centre: Point, metres: f64) -> Self {
        let angle = metres / RADIUS;
        let reach = (angle < PI).then(|| haversine(angle));
        Self { centre, reach }
    }

    /// Returns true if a point is in the circle or on it.
    pub(super) fn has(&self, point: Point) -> bool {
        let Some(reach) = self.reach else {
            return true;
        };
        let (from, to) = (
            self.centre.latitude.to_radians(),
            point.latitude.to_radians(),
        );
        let east = (point.longitude - self.centre.longitude).to_radians();
        let apart = haversine(to - from) + cosine(from) * cosine(to) * haversine(east);
        apart <= reach
    }
}

fn haversine(angle: f64) -> f64 {
    let sine = sine(angle / 2.0);
    sine * sine
}

fn cosine(angle: f64) -> f64 {
    sine(angle + FRAC_PI_2)
}

/// Returns the sine of an angle of a few turns, by its series. WebAssembly has no instruction for
/// it, and the library's function, which is right for any number, is several times as large.
fn sine(angle: f64) -> f64 {
    let turned = angle - TAU * (angle / TAU).round_ties_even();
    let near = if turned > FRAC_PI_2 {
        PI - turned
    } else if turned < -FRAC_PI_2 {
        -PI - turned
    } else {
        turned
    };
    let square = near * near;
    // Each step has the two next factors of the factorial.
    let factors = [
        2.0 * 3.0,
        4.0 * 5.0,
        6.0 * 7.0,
        8.0 * 9.0,
        10.0 * 11.0,
        12.0 * 13.0,
        14.0 * 15.0,
        16.0 * 17.0,
        18.0 * 19.0,
        20.0 * 21.0,
    ];
    let series = factors
        .iter()
        .rev()
        .fold(1.0, |sum, factor| 1.0 - sum * square / factor);
    near * series
}
