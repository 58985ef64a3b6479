//! Gauss-Legendre points and weights on 0..1.
//!
//! Holds: `n` points integrate polynomials of degree up to `2 n - 1` exactly, all weights are positive, no point is
//! 0 or 1. Not here: what is integrated (`exact`).

/// Points and weights, found by Newton's method on the Legendre polynomial from the usual first guess.
pub(super) fn gauss_legendre<const N: usize>() -> ([f64; N], [f64; N]) {
    let (mut points, mut weights) = ([0.0; N], [0.0; N]);
    for at in 0..N {
        let mut x = (std::f64::consts::PI * (at as f64 + 0.75) / (N as f64 + 0.5)).cos();
        let mut slope = 1.0;
        // Quadratic convergence: 6 steps reach the last bit; 100 is arbitrary.
        for _ in 0..100 {
            let (value, derivative) = legendre(N, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-16 {
                break;
            }
        }
        points[at] = 0.5 * (1.0 - x);
        weights[at] = 1.0 / ((1.0 - x * x) * slope * slope);
    }
    (points, weights)
}

/// The Legendre polynomial of degree `n` at `x`, and its derivative.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>() {
        let (points, weights) = gauss_legendre::<N>();
        for degree in 0..2 * N {
            let sum: f64 = points.iter().zip(&weights).map(|(x, w)| w * x.powi(degree as i32)).sum();
            assert!((sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-13, "{N} points, degree {degree}: {sum}");
        }
    }

    #[test]
    fn powers_are_integrated_exactly() {
        check::<4>();
        check::<8>();
        check::<32>();
        check::<256>();
    }
}
