//! Medians, percentiles and Welch's t.

/// The value below which this share of the samples lies; NaN if there are none.
pub(crate) fn percentile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length is an index")]
    let index = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The value in the middle.
pub(crate) fn median(samples: &[f64]) -> f64 {
    percentile(samples, 0.5)
}

/// Mean and standard deviation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    count: f64,
}

impl Spread {
    pub(crate) fn of(samples: &[f64]) -> Self {
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        Self { mean, deviation: (squares / (count - 1.0)).sqrt(), count }
    }

    /// Welch's t between two sets of samples.
    pub(crate) fn t(&self, other: &Self) -> f64 {
        let variance = self.deviation.powi(2) / self.count + other.deviation.powi(2) / other.count;
        (self.mean - other.mean) / variance.sqrt()
    }
}
